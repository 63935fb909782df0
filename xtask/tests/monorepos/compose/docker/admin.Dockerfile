FROM scratch
COPY docker/admin.html /
COPY web/assets /assets
USER 65532:65532
