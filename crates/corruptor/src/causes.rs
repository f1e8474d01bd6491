//! Errors in words.

/// An error with its causes, in one text: the outermost one alone rarely says what went wrong, and many say what caused them
/// already.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !message.contains(&cause_text) {
            message = format!("{message}: {cause_text}");
        }
        source = cause.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read x: {source}")]
    struct Says {
        source: std::io::Error,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("no recipe")]
    struct Silent {
        source: Says,
    }

    #[test]
    fn no_cause_is_named_twice_and_none_is_missing() {
        let says = Says { source: std::io::Error::other("no disk") };
        assert_eq!(chain(&says), "cannot read x: no disk");
        assert_eq!(chain(&Silent { source: says }), "no recipe: cannot read x: no disk");
    }
}
