//! Which of several processes this one is.

use std::str::FromStr;

use crate::error::FinetuneError;

/// A process's place among those that train one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its number, from 0.
    pub rank: usize,
    /// How many there are.
    pub world: usize,
    /// How many there are on this machine.
    pub local_world: usize,
    /// Its number on this machine, from 0: that of its GPU.
    pub local_rank: usize,
    /// Host of process 0.
    pub host: String,
    /// Port on which process 0 waits for the others.
    pub port: u16,
}

impl Place {
    /// One process by itself.
    pub fn alone() -> Self {
        Self { rank: 0, world: 1, local_world: 1, local_rank: 0, host: "127.0.0.1".to_owned(), port: 29_500 }
    }

    /// Reads `RANK`, `WORLD_SIZE`, `LOCAL_RANK`, `LOCAL_WORLD_SIZE`, `MASTER_ADDR` and `MASTER_PORT`, as
    /// [`torchrun`](https://docs.pytorch.org/docs/stable/elastic/run.html) sets them; without `WORLD_SIZE`, it is alone.
    ///
    /// # Errors
    /// If one of them is missing or no number.
    pub fn from_env() -> Result<Self, FinetuneError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, FinetuneError> {
        let alone = Self::alone();
        if variable("WORLD_SIZE").is_none() {
            return Ok(alone);
        }
        let world = number(&variable, "WORLD_SIZE", None)?;
        let rank = number(&variable, "RANK", (world == 1).then_some(0))?;
        if rank >= world {
            let what = format!("RANK={rank} is not below WORLD_SIZE={world}");
            return Err(FinetuneError::parallel(what));
        }
        let port: u16 = number(&variable, "MASTER_PORT", Some(alone.port))?;
        // torchrun itself listens at its port.
        let taken =
            variable("TORCHELASTIC_USE_AGENT_STORE").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        Ok(Self {
            rank,
            world,
            local_world: number(&variable, "LOCAL_WORLD_SIZE", Some(world))?,
            local_rank: number(&variable, "LOCAL_RANK", Some(rank))?,
            host: variable("MASTER_ADDR").unwrap_or(alone.host),
            port: if taken { port.wrapping_add(1).max(1024) } else { port },
        })
    }
}

fn number<T: FromStr>(
    variable: impl Fn(&str) -> Option<String>,
    name: &str,
    default: Option<T>,
) -> Result<T, FinetuneError> {
    match (variable(name), default) {
        (Some(value), _) => value
            .trim()
            .parse()
            .map_err(|_| FinetuneError::parallel(format!("{name}={value} is not a number that fits"))),
        (None, Some(default)) => Ok(default),
        (None, None) => Err(FinetuneError::parallel(format!(
            "WORLD_SIZE is set, but {name} is not; start with torchrun, or set RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(variables: &[(&str, &str)]) -> Result<Place, FinetuneError> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        Place::from_variables(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_environment_tells_the_place() {
        assert_eq!(place(&[("RANK", "3")]).unwrap(), Place::alone());
        let set = [("WORLD_SIZE", "4"), ("RANK", "3"), ("LOCAL_RANK", "1"), ("LOCAL_WORLD_SIZE", "2")];
        let both = [&set[..], &[("MASTER_ADDR", "box"), ("MASTER_PORT", "1234")]].concat();
        let expected =
            Place { rank: 3, world: 4, local_world: 2, local_rank: 1, host: "box".to_owned(), port: 1234 };
        assert_eq!(place(&both).unwrap(), expected);
        let elastic = [&both[..], &[("TORCHELASTIC_USE_AGENT_STORE", "True")]].concat();
        assert_eq!(place(&elastic).unwrap().port, 1235);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (set, named) in [
            (&[("WORLD_SIZE", "2")][..], "RANK is not"),
            (&[("WORLD_SIZE", "2"), ("RANK", "2")], "not below"),
            (&[("WORLD_SIZE", "two"), ("RANK", "0")], "WORLD_SIZE=two"),
            (&[("WORLD_SIZE", "2"), ("RANK", "0"), ("MASTER_PORT", "99999")], "MASTER_PORT=99999"),
        ] {
            let error = place(set).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
