FROM scratch
COPY deploy/tools.txt /
