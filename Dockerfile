# The server for CPUs: docker build -t revertant . && docker run -p 8080:8080 revertant
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc g++ make cmake pkg-config libssl-dev \
 && rm -rf /var/lib/apt/lists/*
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY models models
RUN cargo build --locked --release --package serve --bin serve --features serve/avro

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates libssl3 \
 && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --no-create-home revertant
COPY --from=build /src/target/release/serve /usr/local/bin/serve
USER 10001
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["serve"]
CMD ["http", "--listen", "0.0.0.0:8080"]
