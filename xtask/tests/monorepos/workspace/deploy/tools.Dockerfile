FROM scratch
COPY deploy/tools.txt /
USER 65532:65532
