FROM scratch
COPY docker/admin.html /
COPY web/assets /assets
