package coretest

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// A server whose port a stranger takes in the last moment gets another one.
func TestStartOnAnotherPort(t *testing.T) {
	var ports []int
	require.NoError(t, startOnPort(false, func(claim *portClaim) error {
		defer claim.release()
		ports = append(ports, claim.port)
		if len(ports) > 1 {
			return nil
		}
		stranger, err := net.Listen("tcp4", claim.addr())
		require.NoError(t, err)
		defer stranger.Close() //nolint:errcheck // only in the way
		_, err = net.Listen("tcp4", claim.addr())
		require.Error(t, err)
		return err
	}))
	require.Len(t, ports, 2)
	require.NotEqual(t, ports[0], ports[1])
}
