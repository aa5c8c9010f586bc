# iolab with everything it needs, for any machine that runs Linux containers:
#
#     docker build -t iolab .
#     docker run --privileged iolab
#
# `--build-arg EXTRAS="pictures perfetto"` adds the libraries for figures as PNG and PDF, and for traces that Perfetto opens.
#
# Nothing here needs BuildKit: Debian's and Ubuntu's own docker.io builds it, too, and so does podman. docs/docker.md says
# what takes the room, which privileges are needed, and what to do when something goes wrong.

ARG BASE=debian:trixie-slim

# BCC for Debian's own Python, with the LLVM that compiles the probes: 260 MB. The layer lasts as long as the base does.
FROM ${BASE} AS bcc
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates python3-bpfcc tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log

# The packages of PyPI, exactly as pyproject.toml pins them; pip itself stays behind. The arguments are pip's own settings,
# for a machine that reaches its packages by another way; this stage is left behind, and they with it.
FROM bcc AS packages
ARG EXTRAS=""
ARG PIP_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_FIND_LINKS
ARG PIP_NO_INDEX
RUN apt-get update && apt-get install --yes --no-install-recommends python3-venv
WORKDIR /opt/iolab
COPY pyproject.toml ./
RUN python3 -m venv --system-site-packages .venv \
    && .venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --ignore-installed --no-deps \
        $(python3 -c 'import sys, tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
            print(*project["dependencies"], *(pin for extra in sys.argv[1:] for pin in project["optional-dependencies"][extra]))' \
            $EXTRAS) \
    && .venv/bin/python -m pip uninstall --quiet --yes pip \
    && sed -n '/^dependencies = \[/,/^\]/s/^ *//p' pyproject.toml >.venv/pins \
    && chmod -R a+rX .venv

# The source, with its bytecode: a container starts anew each time, and would compile all of it each time. Commands run as
# the mounted folder's owner, who must be able to read it whatever umask the checkout was made with.
FROM bcc AS source
WORKDIR /opt/iolab
COPY . .
RUN python3 -m compileall -q --invalidation-mode checked-hash -x '/tests/' . && chmod -R a+rX .

FROM bcc
ARG BASE
# The pictures need cairo and a font.
ARG EXTRAS=""
RUN case " $EXTRAS " in *" pictures "*) \
        apt-get update \
        && apt-get install --yes --no-install-recommends libcairo2 fonts-dejavu-core \
        && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log ;; \
    esac
COPY --from=packages /opt/iolab/.venv /opt/iolab/.venv
COPY --from=source /opt/iolab /opt/iolab
RUN ln -s /opt/iolab/machines/entry.sh /usr/local/bin/iolab \
    && ln -s /opt/iolab/machines/entry.sh /usr/local/bin/invoke
# Where files come out: docker run -v "$PWD:/out"
WORKDIR /out
ENV LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
# tini is process 1: it passes on the signals that process 1 would ignore, and buries orphans.
ENTRYPOINT ["tini", "-s", "--", "/opt/iolab/machines/entry.sh"]
ARG REVISION=unknown
ARG SOURCE_SUM=unknown
LABEL org.opencontainers.image.title="iolab" \
    org.opencontainers.image.description="A Linux systems lab: what each I/O model really does, with evidence from the kernel" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.base.name="${BASE}" \
    iolab.source="${SOURCE_SUM}"
