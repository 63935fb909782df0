# syntax=docker/dockerfile:1
ARG VERSION=1
# FROM commented:1
FROM --platform=linux/amd64 rust:${VERSION}-slim AS Build
ARG VERSION
WORKDIR /src
COPY --link Cargo.toml Cargo.lock ./
RUN --mount=type=cache,target=/root/.cargo --mount=type=bind,from=tools:2,target=/t \
    # a comment inside
    cargo build --release \
 && echo FROM nothing:1 ${VERSION}
FROM build AS test
RUN cargo test
FROM scratch
COPY --from=build --chown=1 /src/x /x
COPY --from=0 /a /b
COPY --from=nginx:1.26 /x /y
USER 1000:1000
ENTRYPOINT ["/x"]
