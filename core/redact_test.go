package core

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// A server that does not know AUTH answers with what it was given.
func TestPasswordStaysSecretWhenAServerRepeatsIt(t *testing.T) {
	t.Parallel()
	addr := echoing(t)
	log := &logLines{}
	m := managerOn(t, []string{"redis://user:" + secret + "@" + addr}, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	_, err := m.TryAcquire(t.Context(), "k")
	require.ErrorIs(t, err, ErrNoQuorum)
	require.ErrorContains(t, err, "unknown command")
	require.NotContains(t, err.Error(), secret)
	h, err := m.Health(t.Context())
	require.ErrorIs(t, err, ErrNoQuorum)
	require.NotContains(t, err.Error(), secret)
	require.NotContains(t, h.Nodes[0].Reason, secret)
	require.NotContains(t, h.Nodes[0].Err.Error(), secret)
	require.Zero(t, log.about(secret))
}

func TestRedact(t *testing.T) {
	t.Parallel()
	opt := &redis.Options{Password: secret}
	plain := errors.New("WRONGPASS invalid username-password pair")
	require.Same(t, plain, redact(plain, opt))
	require.Same(t, plain, redact(plain, nil))
	require.NoError(t, redact(nil, opt))

	told := fmt.Errorf("dial: %s: %w", secret, io.EOF)
	require.Equal(t, "dial: …: EOF", redact(told, opt).Error())
	require.ErrorIs(t, redact(told, opt), io.EOF)
	require.NoError(t, errors.Unwrap(redact(told, opt)), "whoever unwraps it would see the password")

	// A user name helps whoever reads the error, unless it may be a token.
	named := errors.New("NOPERM User " + secret + " has no permissions")
	require.Same(t, named, redact(named, &redis.Options{Username: secret, Password: "other"}))
	require.NotContains(t, redact(named, &redis.Options{Username: secret}).Error(), secret)
	whole := &url.Error{Op: "parse", URL: "redis://:%40" + secret + "@host", Err: io.EOF}
	require.NotContains(t, redactURL(whole, &url.URL{User: url.UserPassword("", "@"+secret)}).Error(), secret)

	// Redis cuts what it repeats, also in the middle of a long password.
	cut := errors.New("ERR unknown command 'AUTH', with args beginning with: '" + secret[:5])
	require.NotContains(t, redact(cut, opt).Error(), secret[:5])
	require.NotContains(t, redact(cut, nil).Error(), secret[:5])
}

// echoing is a server that knows no command.
func echoing(t *testing.T) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go refuseAll(conn)
		}
	}()
	return listener.Addr().String()
}

func refuseAll(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // the client has gone
	in := bufio.NewReader(conn)
	for {
		words, err := readWords(in)
		if err != nil {
			return
		}
		if _, err := fmt.Fprintf(conn, "-ERR unknown command '%s', with args beginning with: '%s' \r\n", words[0], strings.Join(words[1:], "' '")); err != nil {
			return
		}
	}
}
