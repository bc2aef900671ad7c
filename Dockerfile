# The server and nothing else: Node runs the TypeScript as it is, so there is nothing to build.
FROM node:24.21.0-bookworm-slim

# pg_dump, pg_restore and psql of the newest major that the server works with: they read every older one. Not of one
# exact version: their repository keeps the newest minor alone.
ADD --chmod=644 https://www.postgresql.org/media/keys/ACCC4CF8.asc /etc/apt/keyrings/postgresql.asc
RUN apt-get update \
	&& apt-get install --yes --no-install-recommends ca-certificates \
	&& echo "deb [signed-by=/etc/apt/keyrings/postgresql.asc] https://apt.postgresql.org/pub/repos/apt bookworm-pgdg main" \
		> /etc/apt/sources.list.d/postgresql.list \
	&& apt-get update \
	&& apt-get install --yes --no-install-recommends postgresql-client-18 \
	&& rm -rf /var/lib/apt/lists/*
# The programs themselves: those in /usr/bin are a wrapper that picks a version.
ENV PATH=/usr/lib/postgresql/18/bin:$PATH

WORKDIR /app

# Optional packages are the embedded Postgres and what speeds up others: here DATABASE_URL names the database.
# No package that is left needs its install script.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts && npm cache clean --force

COPY migrations ./migrations
COPY src ./src

# What the server keeps when ENCRYPTION_KEYS is not set; a named volume takes over the owner.
RUN install --directory --owner=node --group=node --mode=0700 /data

ENV NODE_ENV=production \
	HOST=0.0.0.0 \
	PORT=3000 \
	DATA_DIR=/data

USER node
EXPOSE 3000

# Whether the process answers; /readyz tells whether its database does, which no restart of it would mend.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
	CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 3000}/healthz`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]

# The process takes the signal itself, finishes what is in flight within 20 s and exits with 0: no init, no shell
# between. Give it 30 s before killing it.
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "src/main.ts"]
