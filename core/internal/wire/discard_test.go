package wire

import (
	"crypto/tls"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// lingering notes how its end was asked for.
type lingering struct {
	net.Conn
	seconds int
}

func (l *lingering) SetLinger(seconds int) error {
	l.seconds = seconds
	return nil
}

// What a connection could not deliver is dropped with it, under TLS too.
func TestDiscardReachesTheSocket(t *testing.T) {
	t.Parallel()
	plain := &lingering{seconds: -1}
	discard(plain)
	require.Zero(t, plain.seconds)
	under := &lingering{seconds: -1}
	discard(tls.Client(under, &tls.Config{ServerName: "node", MinVersion: tls.VersionTLS12}))
	require.Zero(t, under.seconds)
	ours, theirs := net.Pipe()
	discard(ours) // has nothing to set
	require.NoError(t, ours.Close())
	require.NoError(t, theirs.Close())
}
