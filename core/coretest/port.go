package coretest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
)

const (
	host = "127.0.0.1"

	// Linux hands out 32768 and above to outgoing connections, other systems
	// begin higher. See the package comment for why those are avoided.
	lowestPort  = 10000
	highestPort = 32767

	// A Redis Cluster node talks to its peers on its port plus this.
	busOffset = 10000
)

// A portClaim keeps other users of this package, in this and in other
// processes, from a TCP port, also while the server on it is down. The claim is
// the UDP port of the same number: it is exclusive, Redis has no use for it, and
// the system gives it back when the process dies.
type portClaim struct {
	port  int
	holds []net.PacketConn
}

func (c *portClaim) addr() string { return joinPort(c.port) }

func (c *portClaim) release() {
	for _, hold := range c.holds {
		_ = hold.Close()
	}
}

func joinPort(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// claimPort claims a free port, and with bus its cluster bus port too.
func claimPort(bus bool) (*portClaim, error) {
	highest := highestPort
	if bus {
		highest -= busOffset
	}
	var errs []error
	for range 20 {
		port := lowestPort + rand.IntN(highest-lowestPort+1)
		claim, err := tryClaim(port, bus)
		if err == nil {
			return claim, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("no free port on %s: %w", host, errors.Join(errs...))
}

func tryClaim(port int, bus bool) (*portClaim, error) {
	claim := &portClaim{port: port}
	ports := []int{port}
	if bus {
		ports = append(ports, port+busOffset)
	}
	for _, p := range ports {
		if err := claim.take(p); err != nil {
			claim.release()
			return nil, err
		}
	}
	return claim, nil
}

// startOnPort claims a port and starts a server on it, on another one if somebody
// outside of this package was faster. start's other errors are returned as they are.
func startOnPort(bus bool, start func(*portClaim) error) error {
	for {
		claim, err := claimPort(bus)
		if err != nil {
			return fmt.Errorf("coretest: %w", err)
		}
		if err = start(claim); err == nil {
			return nil
		}
		claim.release()
		if !errors.Is(err, errPortTaken) && !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
	}
}

func (c *portClaim) take(port int) error {
	hold, err := net.ListenPacket("udp4", joinPort(port))
	if err != nil {
		return err
	}
	c.holds = append(c.holds, hold)
	probe, err := net.Listen("tcp4", joinPort(port))
	if err != nil {
		return err
	}
	return probe.Close()
}
