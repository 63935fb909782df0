FROM debian:trixie-slim AS build
RUN true
FROM build AS test
RUN true
FROM build
CMD ["x"]
