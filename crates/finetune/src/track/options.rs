//! Which trackers a run has.

use std::str::FromStr;

/// Which trackers a run has besides its log and the files of `DVCLive`, which it always has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrackOptions {
    /// Whether to write event files for `TensorBoard`.
    pub tensorboard: bool,
    /// The `MLflow` server to report to, if there is one.
    pub mlflow: Option<MlflowOptions>,
    /// Peak FLOP/s of the device; none: measured on the CPU, looked up for a GPU.
    pub peak_flops: Option<f64>,
}

/// What to tell an `MLflow` server, and how to reach it.
#[derive(Clone, PartialEq)]
pub struct MlflowOptions {
    /// Its address.
    pub uri: String,
    /// The experiment that the run belongs to.
    pub experiment: String,
    /// Under which name the finished model is registered; none: it is not.
    pub register: Option<Registration>,
    /// User name and password; they go before the token, as they do in `MLflow`'s own client.
    pub login: Option<(String, String)>,
    /// A bearer token.
    pub token: Option<String>,
}

impl MlflowOptions {
    /// The experiment where none is named.
    pub const DEFAULT_EXPERIMENT: &'static str = "revertant";

    /// The server at `uri` and the experiment, with the credentials in `MLFLOW_TRACKING_USERNAME`, `MLFLOW_TRACKING_PASSWORD` and
    /// `MLFLOW_TRACKING_TOKEN`.
    pub fn from_env(uri: String, experiment: String, register: Option<Registration>) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let login = variable("MLFLOW_TRACKING_USERNAME").zip(variable("MLFLOW_TRACKING_PASSWORD"));
        Self { uri, experiment, register, login, token: variable("MLFLOW_TRACKING_TOKEN") }
    }
}

/// Without the secrets.
impl std::fmt::Debug for MlflowOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MlflowOptions")
            .field("experiment", &self.experiment)
            .field("register", &self.register)
            .finish_non_exhaustive()
    }
}

/// A name in the model registry, and an alias for the version that the run makes: `NAME[@ALIAS]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The registered model.
    pub name: String,
    /// The alias that moves to the new version.
    pub alias: Option<String>,
}

impl FromStr for Registration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, alias) = match text.split_once('@') {
            Some((name, alias)) => (name, Some(alias)),
            None => (text, None),
        };
        let fits = |part: &str| !part.is_empty() && !part.contains(['@', '/', ':']);
        if !fits(name) || alias.is_some_and(|alias| !fits(alias)) {
            return Err("NAME or NAME@ALIAS is needed, both without `/`, `:` and `@`".to_owned());
        }
        Ok(Self { name: name.to_owned(), alias: alias.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_is_a_name_and_perhaps_an_alias() {
        let parsed: Registration = "restorer@champion".parse().unwrap();
        assert_eq!((parsed.name.as_str(), parsed.alias.as_deref()), ("restorer", Some("champion")));
        assert_eq!("restorer".parse::<Registration>().unwrap().alias, None);
        for wrong in ["", "@", "a@", "@b", "a@b@c", "a/b"] {
            assert!(wrong.parse::<Registration>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let options = MlflowOptions {
            uri: "http://user:secret@host".to_owned(),
            experiment: "e".to_owned(),
            register: None,
            login: Some(("user".to_owned(), "secret".to_owned())),
            token: Some("secret".to_owned()),
        };
        assert!(!format!("{options:?}").contains("secret"));
    }
}
