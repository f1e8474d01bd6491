//! Jobs in a database of `SQLite`.

use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use rusqlite::{Connection, OptionalExtension, Row, params, types::Type};

use super::job::{Job, NewJob, State};
use crate::batch::Tally;

/// Version of the schema.
const VERSION: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE job (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        client TEXT NOT NULL,
        state TEXT NOT NULL,
        spec TEXT NOT NULL,
        input_version TEXT,
        created_ms INTEGER NOT NULL,
        started_ms INTEGER,
        finished_ms INTEGER,
        seconds REAL NOT NULL,
        rows_total INTEGER,
        tally TEXT NOT NULL,
        error TEXT
    ) STRICT;
    CREATE INDEX job_of_state ON job (state, number);
    CREATE INDEX job_of_client ON job (client, number);
";

/// Every column that a [`Job`] has, in the order in which it is read.
const COLUMNS: &str = "id, client, state, spec, input_version, created_ms, started_ms, finished_ms, seconds, rows_total, tally, error";

/// Why the store of jobs does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened.
    #[error("cannot open the jobs in {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: rusqlite::Error,
    },
    /// A later version of this program has written it.
    #[error("{} has version {found} of the jobs; this program knows {VERSION}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// Too many jobs wait.
    #[error("{0} jobs wait already")]
    Full(u64),
    /// A statement failed.
    #[error("the store of jobs failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// All jobs. What a method has done when it returns is on the disk.
pub(super) struct Store {
    connection: Connection,
}

impl Store {
    /// Opens the file, or makes it.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let open_error = |source| StoreError::Open { path: path.to_path_buf(), source };
        let connection = Connection::open(path).map_err(open_error)?;
        let version: i64 = connection
            .query_row("SELECT user_version FROM pragma_user_version", [], |row| row.get(0))
            .map_err(open_error)?;
        if version > VERSION {
            return Err(StoreError::Newer { path: path.to_path_buf(), found: version });
        }
        connection.pragma_update(None, "journal_mode", "WAL").map_err(open_error)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(open_error)?;
        if version < VERSION {
            let made = format!("BEGIN; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;");
            connection.execute_batch(&made).map_err(open_error)?;
        }
        Ok(Self { connection })
    }

    /// Accepts a job, unless so many have not ended yet.
    pub(super) fn add(&mut self, new: NewJob, most: usize) -> Result<Job, StoreError> {
        let [queued, running, ..] = self.counts()?;
        if queued + running >= most as u64 {
            return Err(StoreError::Full(queued + running));
        }
        let NewJob { id, client, spec, rows_total } = new;
        let job = Job {
            id,
            client,
            state: State::Queued,
            spec,
            input_version: None,
            created_ms: now_ms(),
            started_ms: None,
            finished_ms: None,
            seconds: 0.0,
            rows_total,
            tally: Tally::default(),
            error: None,
        };
        self.connection.execute(
            "INSERT INTO job (id, client, state, spec, created_ms, seconds, rows_total, tally) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7)",
            params![
                job.id,
                job.client,
                job.state.name(),
                json(&job.spec)?,
                signed(job.created_ms),
                job.rows_total.map(signed),
                json(&job.tally)?
            ],
        )?;
        Ok(job)
    }

    /// The job of this id.
    pub(super) fn get(&self, id: &str) -> Result<Option<Job>, StoreError> {
        let query = format!("SELECT {COLUMNS} FROM job WHERE id = ?1");
        Ok(self.connection.query_row(&query, [id], job).optional()?)
    }

    /// Ids of all jobs.
    pub(super) fn ids(&self) -> Result<Vec<String>, StoreError> {
        let mut statement = self.connection.prepare("SELECT id FROM job")?;
        let ids = statement.query_map([], |row| row.get(0))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    /// The newest jobs, of one client or of all.
    pub(super) fn newest(&self, client: Option<&str>, limit: usize) -> Result<Vec<Job>, StoreError> {
        let query = format!(
            "SELECT {COLUMNS} FROM job WHERE ?1 IS NULL OR client = ?1 ORDER BY number DESC LIMIT ?2"
        );
        let mut statement = self.connection.prepare(&query)?;
        let jobs = statement.query_map(params![client, signed(limit as u64)], job)?;
        Ok(jobs.collect::<Result<_, _>>()?)
    }

    /// The oldest job that waits or was under way and that `is_free`; now it is under way.
    pub(super) fn begin(&mut self, is_free: impl Fn(&str) -> bool) -> Result<Option<Job>, StoreError> {
        let oldest = {
            let mut statement = self
                .connection
                .prepare("SELECT id FROM job WHERE state IN ('queued', 'running') ORDER BY number")?;
            let mut ids = statement.query_map([], |row| row.get::<_, String>(0))?;
            ids.find(|id| !matches!(id, Ok(id) if !is_free(id))).transpose()?
        };
        let Some(id) = oldest else { return Ok(None) };
        self.connection.execute(
            "UPDATE job SET state = 'running', started_ms = coalesce(started_ms, ?2) WHERE id = ?1",
            params![id, signed(now_ms())],
        )?;
        self.get(&id)
    }

    /// Keeps what the input of a job under way is.
    pub(super) fn input(&mut self, id: &str, version: &str, rows: u64) -> Result<(), StoreError> {
        let update = "UPDATE job SET input_version = ?2, rows_total = ?3 WHERE id = ?1";
        self.connection.execute(update, params![id, version, signed(rows)])?;
        Ok(())
    }

    /// Keeps how far a job has come.
    pub(super) fn progress(&mut self, id: &str, tally: &Tally, seconds: f64) -> Result<(), StoreError> {
        let update = "UPDATE job SET tally = ?2, seconds = ?3 WHERE id = ?1";
        self.connection.execute(update, params![id, json(tally)?, seconds])?;
        Ok(())
    }

    /// Ends a job that is under way; false where it is not any more.
    pub(super) fn finish(&mut self, id: &str, state: State, error: Option<&str>) -> Result<bool, StoreError> {
        let update =
            "UPDATE job SET state = ?2, error = ?3, finished_ms = ?4 WHERE id = ?1 AND state = 'running'";
        Ok(self.connection.execute(update, params![id, state.name(), error, signed(now_ms())])? > 0)
    }

    /// Cancels a job that has not ended; none where there is no such.
    pub(super) fn cancel(&mut self, id: &str) -> Result<Option<Job>, StoreError> {
        let update = "UPDATE job SET state = 'cancelled', finished_ms = ?2 WHERE id = ?1 AND state IN ('queued', 'running')";
        if self.connection.execute(update, params![id, signed(now_ms())])? == 0 {
            return Ok(None);
        }
        self.get(id)
    }

    /// Removes a job; false where there is none.
    pub(super) fn remove(&mut self, id: &str) -> Result<bool, StoreError> {
        Ok(self.connection.execute("DELETE FROM job WHERE id = ?1", [id])? > 0)
    }

    /// Removes the jobs that ended before; their ids.
    pub(super) fn expire(&mut self, before_ms: u64) -> Result<Vec<String>, StoreError> {
        let mut statement = self.connection.prepare("DELETE FROM job WHERE finished_ms < ?1 RETURNING id")?;
        let ids = statement.query_map([signed(before_ms)], |row| row.get(0))?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    /// How many jobs there are of each state, in the order of [`State::ALL`].
    pub(super) fn counts(&self) -> Result<[u64; State::ALL.len()], StoreError> {
        let mut counts = [0; State::ALL.len()];
        let mut statement = self.connection.prepare("SELECT state, count(*) FROM job GROUP BY state")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (state, jobs): (String, i64) = (row.get(0)?, row.get(1)?);
            let at = State::ALL.into_iter().position(|known| known.name() == state);
            if let Some(count) = at.and_then(|at| counts.get_mut(at)) {
                *count = u64::try_from(jobs).unwrap_or_default();
            }
        }
        Ok(counts)
    }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let number =
        |at| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(at)?.and_then(|n| u64::try_from(n).ok()));
    let state: String = row.get(2)?;
    let state = State::of_name(&state).ok_or_else(|| unreadable(2, format!("no state `{state}`").into()))?;
    Ok(Job {
        id: row.get(0)?,
        client: row.get(1)?,
        state,
        spec: parsed(row, 3)?,
        input_version: row.get(4)?,
        created_ms: number(5)?.unwrap_or_default(),
        started_ms: number(6)?,
        finished_ms: number(7)?,
        seconds: row.get(8)?,
        rows_total: number(9)?,
        tally: parsed(row, 10)?,
        error: row.get(11)?,
    })
}

fn parsed<T: serde::de::DeserializeOwned>(row: &Row<'_>, at: usize) -> rusqlite::Result<T> {
    let text: String = row.get(at)?;
    serde_json::from_str(&text).map_err(|error| unreadable(at, error.into()))
}

fn unreadable(at: usize, reason: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, Type::Text, reason)
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    let text = serde_json::to_string(value);
    text.map_err(|error| StoreError::Sqlite(rusqlite::Error::ToSqlConversionFailure(error.into())))
}

/// Integers of the database are signed; no count comes near.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::tests::new_job;

    #[test]
    fn jobs_are_there_again_when_the_file_is_opened_again() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("jobs.sqlite");
        let mut store = Store::open(&path).unwrap();
        for id in ["a", "b", "c"] {
            store.add(new_job(id, "me"), 3).unwrap();
        }
        assert!(matches!(store.add(new_job("d", "me"), 3), Err(StoreError::Full(3))));
        assert_eq!(store.begin(|_| true).unwrap().unwrap().id, "a");
        assert_eq!(store.begin(|id| id != "a").unwrap().unwrap().id, "b");
        let tally = Tally { model_failures: 2, ..Tally::default() };
        store.progress("a", &tally, 1.5).unwrap();
        store.input("a", "7", 9).unwrap();
        assert!(store.finish("b", State::Failed, Some("why")).unwrap());
        assert!(!store.finish("b", State::Succeeded, None).unwrap());
        assert_eq!(store.cancel("b").unwrap(), None);
        drop(store);

        let mut store = Store::open(&path).unwrap();
        let a = store.begin(|_| true).unwrap().unwrap();
        assert_eq!((a.id.as_str(), &a.tally, a.seconds), ("a", &tally, 1.5));
        assert_eq!((a.input_version.as_deref(), a.rows_total), (Some("7"), Some(9)));
        let ids = |jobs: Vec<Job>| jobs.into_iter().map(|job| job.id).collect::<Vec<_>>();
        assert_eq!(ids(store.newest(Some("me"), 2).unwrap()), ["c", "b"]);
        assert_eq!(ids(store.newest(Some("you"), 2).unwrap()), [""; 0]);
        assert_eq!(store.counts().unwrap(), [1, 1, 0, 1, 0]);
        assert_eq!(store.cancel("c").unwrap().unwrap().state, State::Cancelled);
        assert_eq!(store.get("b").unwrap().unwrap().error.as_deref(), Some("why"));
        let mut expired = store.expire(now_ms() + 1).unwrap();
        expired.sort();
        assert_eq!(expired, ["b", "c"]);
        assert!(store.remove("a").unwrap() && !store.remove("a").unwrap());
    }

    #[test]
    fn what_a_later_version_has_written_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("jobs.sqlite");
        Connection::open(&path).unwrap().pragma_update(None, "user_version", VERSION + 1).unwrap();
        let error = Store::open(&path).err().unwrap();
        assert!(matches!(error, StoreError::Newer { found: 2, .. }), "{error}");
    }
}
