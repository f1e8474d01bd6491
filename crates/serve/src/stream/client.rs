//! Properties of the consumer and of the producer.

use rdkafka::ClientConfig;

use super::{
    StreamError,
    settings::{Delivery, Settings},
};

/// Properties that mean something else to the stream than to a client, and who sets them.
const OWN: [(&str, &str); 9] = [
    ("bootstrap.servers", "set by --brokers"),
    ("metadata.broker.list", "set by --brokers"),
    ("group.id", "set by --group"),
    ("transactional.id", "set by --instance"),
    ("enable.auto.commit", "the stream's own: offsets are committed with what was made of them"),
    ("enable.auto.offset.store", "the stream's own: offsets are committed with what was made of them"),
    ("enable.idempotence", "the stream's own: without it records could be doubled, or change places"),
    ("isolation.level", "the stream's own: what was aborted is not read"),
    ("enable.partition.eof", "the stream's own"),
];

/// Properties of the consumer.
pub(super) fn consumer_config(settings: &Settings) -> Result<ClientConfig, StreamError> {
    let mut config = common(
        settings,
        &[
            ("auto.offset.reset", "earliest"),
            // Partitions that stay need not be given up.
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("statistics.interval.ms", "5000"),
            // Fetched ahead while texts are restored: as much as keeps a fast restorer busy, and no gigabyte.
            ("queued.max.messages.kbytes", "32768"),
        ],
    )?;
    config
        .set("group.id", &settings.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", if settings.replay { "true" } else { "false" });
    Ok(config)
}

/// Properties of the producer.
pub(super) fn producer_config(settings: &Settings) -> Result<ClientConfig, StreamError> {
    let mut config = common(
        settings,
        &[
            // A whole batch is there at once; nothing is gained by waiting for more.
            ("linger.ms", "1"),
            // As Java's: a key lands in the same partition whoever writes it.
            ("partitioner", "murmur2_random"),
            ("delivery.report.only.error", "true"),
            // The brokers say what is too large for a topic; above this they take no request (`socket.request.max.bytes`).
            ("message.max.bytes", "104000000"),
            // A transaction waits for the broker to be through with the one before: milliseconds, not the hundred of the default.
            ("retry.backoff.ms", "10"),
            // Offsets whose coordinator has gone wait, whatever their timeout, until a connection opens or closes (librdkafka #5511,
            // #5456): so idle ones close, each at its own time.
            ("connections.max.idle.ms", "5000"),
        ],
    )?;
    config.set("enable.idempotence", "true");
    if settings.delivery == Delivery::ExactlyOnce {
        config.set("transactional.id", &settings.instance);
    }
    Ok(config)
}

fn common(settings: &Settings, defaults: &[(&str, &str)]) -> Result<ClientConfig, StreamError> {
    let mut config = ClientConfig::new();
    config.set("client.id", "revertant");
    for (name, value) in defaults {
        config.set(*name, *value);
    }
    for (name, value) in &settings.properties {
        if let Some((_, by)) = OWN.iter().find(|(own, _)| own == name) {
            return Err(StreamError::OwnProperty { name: name.clone(), by });
        }
        config.set(name, value);
    }
    config.set("bootstrap.servers", &settings.brokers);
    Ok(config)
}
