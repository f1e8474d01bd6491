//! A failure in a batch stays with the texts that cause it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use restorer::{Restoration, RestoreRequest, Restorer};

/// Why one text has no restoration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The model returned an error for this text.
    #[error("the model cannot restore this text: {0}")]
    Refused(String),
    /// The model panicked on this text: a bug.
    #[error("the model panicked on this text: {0}")]
    Panicked(String),
}

/// Restores `requests` as one batch. Where that fails, halves are tried, down to single texts, so that every
/// text which can be restored is. One answer a request, in their order; never panics.
pub fn restore_each(
    model: &dyn Restorer,
    requests: &[RestoreRequest],
) -> Vec<Result<Restoration, TextError>> {
    if requests.is_empty() {
        return Vec::new();
    }
    match attempt(model, requests) {
        Ok(restorations) => restorations.into_iter().map(Ok).collect(),
        Err(error) if requests.len() == 1 => vec![Err(error)],
        Err(error) => {
            tracing::warn!(texts = requests.len(), %error, "a batch failed and is tried in halves");
            let (left, right) = requests.split_at(requests.len() / 2);
            let mut answers = restore_each(model, left);
            answers.extend(restore_each(model, right));
            answers
        }
    }
}

fn attempt(model: &dyn Restorer, requests: &[RestoreRequest]) -> Result<Vec<Restoration>, TextError> {
    // A model is shared between threads and takes `&self`: a panic leaves nothing of ours half-changed.
    match catch_unwind(AssertUnwindSafe(|| model.restore(requests))) {
        Ok(Ok(restorations)) if restorations.len() == requests.len() => Ok(restorations),
        Ok(Ok(restorations)) => {
            let message = format!("it answered {} of {} texts", restorations.len(), requests.len());
            Err(TextError::Refused(message))
        }
        Ok(Err(error)) => Err(TextError::Refused(error.to_string())),
        Err(panic) => Err(TextError::Panicked(panic_message(panic.as_ref()))),
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    if let Some(message) = panic.downcast_ref::<&str>() {
        (*message).to_owned()
    } else if let Some(message) = panic.downcast_ref::<String>() {
        message.clone()
    } else {
        "no message".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Script, request};

    #[test]
    fn only_the_texts_at_fault_fail() {
        let model = Script::default();
        let requests: Vec<_> = ["a", "panic", "b", "c", "refuse", "d", "e"].map(request).into();
        let answers = restore_each(&model, &requests);
        let texts: Vec<_> = answers.iter().map(|answer| answer.as_ref().map(|r| r.text.as_str())).collect();
        assert_eq!(texts.len(), 7);
        assert!(matches!(texts[1], Err(TextError::Panicked(message)) if message == "asked to"));
        assert!(matches!(texts[4], Err(TextError::Refused(_))));
        for index in [0, 2, 3, 5, 6] {
            assert_eq!(texts[index], Ok(requests[index].text.as_str()));
        }
    }

    #[test]
    fn a_batch_without_texts_has_no_answers() {
        assert!(restore_each(&Script::default(), &[]).is_empty());
    }
}
