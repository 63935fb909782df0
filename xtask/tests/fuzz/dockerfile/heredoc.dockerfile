FROM a:1
RUN <<EOF
FROM b:1
\
EOF
COPY <<'X' <<-"Y" /f/
FROM c:1
X
	FROM e:1
	Y
ARG A=b
ENV A=$A B=${A:-c} \

    C=d
RUN <<-ONE cat && echo $A
	one $A
	ONE
FROM d:1
