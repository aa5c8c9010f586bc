#!/bin/sh
# What the image runs: `docker run --privileged iolab COMMAND...`, and `iolab COMMAND...` in a shell inside it.
#
# A command runs as the owner of the folder that it is started in, and keeps root's capabilities. So the files that it writes to
# a mounted folder belong to the folder's owner from the first byte on, however the container ends.
set -eu

iolab=/opt/iolab/iolab
case $0 in
*/invoke) # typed in a shell inside
    IOLAB_CALLED=invoke
    [ $# != 0 ] || set -- --help
    ;;
esac
mounted=$(! mountpoint -q /out || echo ' -v "$PWD:/out"')
export IOLAB_CALLED="${IOLAB_CALLED:-docker run --rm -it --privileged$mounted iolab}"

as_owner() {
    here=$(pwd) # not ".": stat(2) on "." fails in a folder that only its owner may enter
    owner=$(stat -c %u "$here") group=$(stat -c %g "$here")
    held=$(setpriv --dump | sed -n 's/^Capability bounding set: //p')
    if [ "$owner" = 0 ] || [ "$(id -u)" != 0 ]; then
        exec "$@"
    fi
    case ,$held, in
    *,setgid,setuid,*) ;;
    *)
        echo "iolab: files written here will belong to root: that takes --cap-add SETUID --cap-add SETGID" >&2
        exec "$@"
        ;;
    esac
    kept=+$(echo "$held" | sed 's/,/,+/g')
    export HOME=/tmp # not root's, which this user may not read
    exec setpriv --reuid "$owner" --regid "$group" --clear-groups --inh-caps "$kept" --ambient-caps "$kept" -- "$@"
}

case ${1-} in
"")
    (as_owner "$iolab" compare) || status=$?
    cat <<END

Without a command it runs \`compare\`. What else there is:
  docker run --rm -it --privileged iolab lab epoll             one model in a picture: where the time of a message went
  docker run --rm iolab labs                                   the labs, each with its question
  docker run --rm iolab claims                                 what textbooks say, and which checks stand for it
  docker run --rm -it --privileged -v "\$PWD:/out" iolab lab epoll --save run.iolab
  docker run --rm -v "\$PWD:/out" iolab show run.iolab          a recording again; needs no privileges
  docker run --rm -it --privileged -v "\$PWD:/out" iolab trace -- ./my_server
  docker run --rm -it --privileged -v "\$PWD:/out" iolab check epoll -- ./my_server {port}
  docker run --rm --privileged iolab doctor                    what can be traced here, and the remedy for what can't
  docker run --rm -it --privileged iolab bash                  a shell inside, with \`iolab\` as a command
END
    exit "${status:-0}"
    ;;
bash | sh)
    export IOLAB_CALLED=iolab # the command's name in that shell
    exec "$@"
    ;;
test) exec "$iolab" "$@" ;; # as root: it installs compilers and test tools first
*) as_owner "$iolab" "$@" ;;
esac
