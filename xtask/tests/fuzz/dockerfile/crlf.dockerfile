FROM $BASE
RUN a \
  b
FROM  x  as  y
ADD --checksum=sha256:0 --chmod=644 https://h.example/f /f
SHELL ["cmd", "/S"]
HEALTHCHECK --interval=5s CMD x
ONBUILD COPY --from=z . .
