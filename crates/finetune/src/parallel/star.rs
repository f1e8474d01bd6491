//! Processes around process 0, over TCP.
//!
//! A message is its length in bytes, as eight little-endian bytes, and the bytes.

use std::convert::Infallible;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};

use super::all_reduce::AllReduce;
use super::place::Place;
use crate::error::FinetuneError;
use crate::optimizer::fold_halves;

/// How long process 0 and the others look for each other.
const PATIENCE: Duration = Duration::from_mins(5);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);
/// How a connection begins.
const GREETING: &[u8; 16] = b"revertant train\n";
/// The greatest message: gradients of a model that no machine holds.
const MOST_BYTES: u64 = 1 << 40;

/// This process's connections: of process 0 to all others, by rank, else to process 0.
#[derive(Debug)]
pub struct Star {
    leads: bool,
    links: Vec<TcpStream>,
}

impl Star {
    /// Connects all processes.
    ///
    /// # Errors
    /// If a process is not there in time, the port is taken, or two have the same rank.
    pub fn connect(place: &Place) -> Result<Self, FinetuneError> {
        let links =
            if place.rank == 0 { Self::wait_for_all(place)? } else { vec![Self::find_leader(place)?] };
        for link in &links {
            let set = link.set_nodelay(true).and_then(|()| link.set_read_timeout(None));
            set.map_err(|error| FinetuneError::parallel(error.to_string()))?;
        }
        Ok(Self { leads: place.rank == 0, links })
    }

    fn wait_for_all(place: &Place) -> Result<Vec<TcpStream>, FinetuneError> {
        let at = format!("{}:{}", place.host, place.port);
        let fail = |what: String| FinetuneError::parallel(format!("process 0 at {at}: {what}"));
        let listener = TcpListener::bind((place.host.as_str(), place.port))
            .map_err(|error| fail(format!("{error}; name another port with MASTER_PORT")))?;
        listener.set_nonblocking(true).map_err(|error| fail(error.to_string()))?;
        let started = Instant::now();
        let mut links: Vec<Option<TcpStream>> = (1..place.world).map(|_| None).collect();
        while let Some(missing) = links.iter().position(Option::is_none) {
            match listener.accept() {
                Ok((mut link, _)) => {
                    // Who greets in another way is none of ours.
                    let Ok((rank, world)) = greeting(&mut link) else { continue };
                    if world != place.world as u64 {
                        return Err(fail(format!(
                            "process {rank} counts {world} processes, not {}",
                            place.world
                        )));
                    }
                    match links.get_mut((rank as usize).wrapping_sub(1)) {
                        Some(free @ None) => *free = Some(link),
                        _ => return Err(fail(format!("a second process says that it is number {rank}"))),
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if started.elapsed() > PATIENCE {
                        return Err(fail(format!("process {} did not come", missing + 1)));
                    }
                    std::thread::sleep(PAUSE);
                }
                Err(error) => return Err(fail(error.to_string())),
            }
        }
        Ok(links.into_iter().flatten().collect())
    }

    fn find_leader(place: &Place) -> Result<TcpStream, FinetuneError> {
        let started = Instant::now();
        loop {
            let tried = TcpStream::connect((place.host.as_str(), place.port)).and_then(|mut link| {
                link.write_all(GREETING)?;
                link.write_all(&(place.rank as u64).to_le_bytes())?;
                link.write_all(&(place.world as u64).to_le_bytes())?;
                Ok(link)
            });
            match tried {
                Ok(link) => return Ok(link),
                Err(error) if started.elapsed() > PATIENCE => {
                    let Place { rank, host, port, .. } = place;
                    return Err(FinetuneError::parallel(format!(
                        "process {rank} cannot reach process 0 at {host}:{port}: {error}"
                    )));
                }
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
    }

    /// Makes sure that all processes do the same; each learns who does not.
    ///
    /// # Errors
    /// If one does something else, or has hung up.
    pub fn agree_on(&mut self, task: &str) -> Result<(), FinetuneError> {
        let others = self.gather(task.as_bytes())?;
        let other = others.iter().position(|other| other != task.as_bytes());
        let verdict = other.map_or_else(String::new, |index| {
            format!(
                "process {} trains something else than process 0: recipe, pairs, model and version must be the same",
                index + 1
            )
        });
        let verdict = self.broadcast(verdict.into_bytes())?;
        if verdict.is_empty() {
            return Ok(());
        }
        Err(FinetuneError::parallel(String::from_utf8_lossy(&verdict).into_owned()))
    }

    /// Sends `own` to process 0, which gets those of all others, by rank; the others get nothing.
    ///
    /// # Errors
    /// If a process has hung up.
    pub fn gather(&mut self, own: &[u8]) -> Result<Vec<Vec<u8>>, FinetuneError> {
        if self.leads {
            let receive = |(index, link): (usize, &mut TcpStream)| receive(link).map_err(lost(index + 1));
            return self.links.iter_mut().enumerate().map(receive).collect();
        }
        self.links.iter_mut().try_for_each(|link| send(link, own)).map_err(lost(0))?;
        Ok(Vec::new())
    }

    /// Sends what process 0 says to all.
    ///
    /// # Errors
    /// If a process has hung up.
    pub fn broadcast(&mut self, said: Vec<u8>) -> Result<Vec<u8>, FinetuneError> {
        if self.leads {
            for (index, link) in self.links.iter_mut().enumerate() {
                send(link, &said).map_err(lost(index + 1))?;
            }
            return Ok(said);
        }
        let Some(link) = self.links.first_mut() else { return Ok(said) };
        receive(link).map_err(lost(0))
    }

    /// What process 0 makes of what all say, by rank.
    ///
    /// # Errors
    /// If a process has hung up.
    pub fn fold(
        &mut self,
        own: &[u8],
        fold: impl FnOnce(Vec<Vec<u8>>) -> Vec<u8>,
    ) -> Result<Vec<u8>, FinetuneError> {
        let others = self.gather(own)?;
        let folded =
            if self.leads { fold(std::iter::once(own.to_vec()).chain(others).collect()) } else { Vec::new() };
        self.broadcast(folded)
    }
}

/// Over the host: process 0 adds, and sends the sum.
impl AllReduce for Star {
    fn all_reduce(&mut self, tensors: &mut [Tensor]) -> Result<(), FinetuneError> {
        let fail = FinetuneError::tensor;
        let mut own = Vec::new();
        for tensor in tensors.iter() {
            let values =
                tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>()).map_err(fail("gradient sum"))?;
            own.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        let sums = self.fold(&own, |all| {
            let add = |mut sum: Vec<u8>, term: Vec<u8>| {
                for (sum, term) in sum.as_chunks_mut::<4>().0.iter_mut().zip(term.as_chunks::<4>().0) {
                    *sum = (f32::from_le_bytes(*sum) + f32::from_le_bytes(*term)).to_le_bytes();
                }
                Ok::<_, Infallible>(sum)
            };
            let Ok(sum) = fold_halves(all, add);
            sum.unwrap_or_default()
        })?;
        let mut sums = sums.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        for tensor in tensors {
            let values: Vec<f32> = sums.by_ref().take(tensor.elem_count()).collect();
            let sum = Tensor::from_vec(values, tensor.shape(), &Device::Cpu);
            *tensor = sum.and_then(|sum| sum.to_device(tensor.device())).map_err(fail("gradient sum"))?;
        }
        Ok(())
    }
}

/// Rank and world of who greets.
fn greeting(link: &mut TcpStream) -> io::Result<(u64, u64)> {
    link.set_nonblocking(false)?;
    link.set_read_timeout(Some(Duration::from_secs(10)))?;
    let (mut magic, mut rank, mut world) = ([0; 16], [0; 8], [0; 8]);
    link.read_exact(&mut magic)?;
    if &magic != GREETING {
        return Err(io::ErrorKind::InvalidData.into());
    }
    link.read_exact(&mut rank)?;
    link.read_exact(&mut world)?;
    Ok((u64::from_le_bytes(rank), u64::from_le_bytes(world)))
}

fn send(link: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    link.write_all(&(message.len() as u64).to_le_bytes())?;
    link.write_all(message)
}

fn receive(link: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    link.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > MOST_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a message of {length} bytes")));
    }
    let mut message = Vec::new();
    let read = link.take(length).read_to_end(&mut message)?;
    if read as u64 == length { Ok(message) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn lost(rank: usize) -> impl FnOnce(io::Error) -> FinetuneError {
    move |error| {
        let what = if rank == 0 { "process 0".to_owned() } else { format!("process {rank}") };
        FinetuneError::parallel(format!(
            "the connection to {what} is lost ({error}); its own output says why, and --resume goes on from the last state"
        ))
    }
}
