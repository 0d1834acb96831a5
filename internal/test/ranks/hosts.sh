#!/bin/sh
# Two hosts on one Linux machine: network namespaces, joined by a cable. Needs root, ip and tc (Debian: iproute2).
#
#	hosts.sh up            makes the hosts a (10.231.77.1) and b (10.231.77.2)
#	hosts.sh rate 1gbit    how much goes through the cable, each way; "rate none": all
#	hosts.sh link down     pulls the cable; "link up" plugs it in
#	hosts.sh on b PROGRAM  runs it on a host, with the host's name
#	hosts.sh processes     their processes
#	hosts.sh down          removes them
#
# Called as ssh is, with options, a host and a command, it runs the command there. So it starts the launcher's processes:
#
#	hosts.sh on a mpirun --mca plm_rsh_agent hosts.sh --host 10.231.77.1,10.231.77.2 PROGRAM      Open MPI
#	hosts.sh on a mpirun -launcher rsh -launcher-exec hosts.sh -iface unimo -hosts 10.231.77.1,10.231.77.2 PROGRAM      MPICH
#
# UNIMO_HOSTS is the first part of the namespaces' names, for several pairs at a time.
set -eu
name=${UNIMO_HOSTS:-unimo}
net=10.231.77

# on HOST PROGRAM...
on() {
	host=$1
	shift
	exec ip netns exec "$name-$host" unshare --uts sh -c 'hostname "$1"; shift; exec "$@"' sh "$host" "$@"
}

case $1 in
up)
	trap '"$0" down 2>/dev/null' EXIT
	ip netns add "$name-a"
	ip netns add "$name-b"
	ip -n "$name-a" link add unimo type veth peer name unimo netns "$name-b"
	for host in a b; do
		[ $host = a ] && number=1 || number=2
		ip -n "$name-$host" address add $net.$number/24 dev unimo
		ip -n "$name-$host" link set lo up
		ip -n "$name-$host" link set unimo up
	done
	trap - EXIT
	;;
rate)
	for host in a b; do
		if [ "$2" = none ]; then
			tc -n "$name-$host" qdisc delete dev unimo root
		else
			tc -n "$name-$host" qdisc replace dev unimo root tbf rate "$2" burst 1mb latency 50ms
		fi
	done
	;;
link) ip -n "$name-b" link set unimo "$2" ;;
on)
	shift
	on "$@"
	;;
processes)
	for host in a b; do
		ip netns pids "$name-$host"
	done
	;;
down)
	for host in a b; do
		ip netns delete "$name-$host" || true
	done
	;;
*)
	while :; do
		case $1 in
		-*) ;;
		$net.1) host=a && break ;;
		$net.2) host=b && break ;;
		*) echo "hosts.sh: no host $1" >&2 && exit 255 ;;
		esac
		shift
	done
	shift
	on $host sh -c "$*; exit"
	;;
esac
