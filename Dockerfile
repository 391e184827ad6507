# Rolecall in a container: one program, one volume, no root.
#
#   docker build -t rolecall .
#   docker run --rm -v rolecall:/var/lib/rolecall rolecall bootstrap --workspace Acme --owner you@example.com
#   docker run -d -p 127.0.0.1:50051:50051 -v rolecall:/var/lib/rolecall -e ROLECALL_INSECURE_PLAINTEXT=true rolecall
#
# Inside a container the server has to listen beyond loopback, which it refuses to do without TLS. Give it a certificate
# (ROLECALL_TLS_CERT and ROLECALL_TLS_KEY), or say, with ROLECALL_INSECURE_PLAINTEXT=true, that the network in front of it
# is private or that a proxy there does TLS: passwords and tokens cross that network in the clear.
# Mail is written to files in the volume until ROLECALL_MAIL_URL names an SMTP server.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
COPY . .
# Dependencies stay compiled in the cached folders, so that a change of the sources compiles this crate only.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin rolecall \
    && install -D target/release/rolecall /out/rolecall \
    && install -d -m 0700 /out/data

FROM debian:bookworm-slim
RUN groupadd --system --gid 10001 rolecall \
    && useradd --system --uid 10001 --gid rolecall --home-dir /var/lib/rolecall --no-create-home \
        --shell /usr/sbin/nologin rolecall
COPY --from=build /out/rolecall /usr/local/bin/rolecall
COPY --from=build --chown=rolecall:rolecall /out/data /var/lib/rolecall

ENV ROLECALL_DATABASE_URL=sqlite:///var/lib/rolecall/rolecall.db \
    ROLECALL_MAIL_URL=file:/var/lib/rolecall/mail \
    ROLECALL_GRPC_LISTEN=0.0.0.0:50051
USER rolecall
WORKDIR /var/lib/rolecall
VOLUME /var/lib/rolecall
EXPOSE 50051
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["rolecall", "health"]
ENTRYPOINT ["rolecall"]
CMD ["serve"]
