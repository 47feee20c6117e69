package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// answering is a server that says the same to everybody who says anything, and hangs up.
func answering(t *testing.T, text string) (addr string) {
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
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		}
	}()
	return listener.Addr().String()
}

func dialIn(ctx context.Context, opt *redis.Options, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := Dialer(opt, limit)(ctx)
	if err == nil {
		_ = conn.Close()
	}
	return err
}

// What cannot be spoken to says what may be the matter, and no more than is known.
func TestDialSaysWhatMayBeWrong(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		says string
		tls  bool
		want string
	}{
		"Redis, asked in TLS":          {"-ERR unknown command\r\n", true, "the server does not speak TLS on this port: write redis://"},
		"nothing, asked in TLS":        {"", true, "may not speak TLS on this port (without it: redis://)"},
		"HTTP, asked in TLS":           {"HTTP/1.1 400 Bad Request\r\n\r\n", true, "may not speak TLS on this port (without it: redis://)"},
		"TLS, asked without":           {"\x15\x03\x01\x00\x02\x02\x46", false, "the server speaks TLS on this port: write rediss://"},
		"nothing, asked without":       {"", false, "it may speak TLS on this port (with it: rediss://)"},
		"HTTP, asked without":          {"HTTP/1.1 400 Bad Request\r\n\r\n", false, `answered "HTTP/1.1"`},
		"what is not TLS, though near": {"\x15\x0a", false, `answered "\x15\n"`},
		"a refusal":                    {"-ERR max number of clients reached\r\n", false, "the server said: ERR max number of clients reached; and ended the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opt := &redis.Options{Network: "tcp", DisableIdentity: true, Addr: answering(t, c.says)}
			if c.tls {
				opt.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
			}
			err := dialIn(t.Context(), opt, time.Minute)
			require.ErrorContains(t, err, c.want)
			if c.tls { // that of redis.NewClient
				opt.Dialer = redis.NewDialer(opt)
				require.ErrorContains(t, dialIn(t.Context(), opt, time.Minute), c.want)
			}
		})
	}
}

func TestDialSaysWhatIsNotAnswered(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close() //nolint:errcheck // end of the test
	const limit = 50 * time.Millisecond
	opt := &redis.Options{Network: "tcp", DisableIdentity: true, Addr: silent.Addr().String()}
	err = dialIn(t.Context(), opt, limit)
	require.ErrorContains(t, err, "connected, but not answered")
	require.NotContains(t, err.Error(), "TLS")
	opt.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	err = dialIn(t.Context(), opt, limit)
	require.ErrorContains(t, err, "the server hangs, or does not speak TLS on this port (without it: redis://)")
	require.ErrorIs(t, err, context.DeadlineExceeded)

	_ = silent.Close()
	err = dialIn(t.Context(), opt, time.Minute)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "TLS", "nobody was there to speak it")
}

// A dial that takes no heed of its context, as that of a redis.NewClient with TLS, is
// not waited for, and what comes of it is closed.
func TestDialEndsWithItsContext(t *testing.T) {
	for name, late := range map[string]func() (net.Conn, error){
		"a connection": func() (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, theirs) }() // ends when ours is closed
			return ours, nil
		},
		"a nil that is none": func() (net.Conn, error) { return (*tls.Conn)(nil), errors.New("not connected") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				err := dialIn(t.Context(), &redis.Options{
					TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12},
					Dialer:    func(context.Context, string, string) (net.Conn, error) { time.Sleep(time.Hour); return late() },
				}, time.Second)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorContains(t, err, "out of reach, hangs, or does not speak TLS")
				require.Equal(t, time.Second, time.Since(began))
				time.Sleep(2 * time.Hour)
			})
		})
	}
}

func TestServersAreNamedAsTLSDialNamesThem(t *testing.T) {
	t.Parallel()
	given := &tls.Config{ServerName: "given", MinVersion: tls.VersionTLS12}
	require.Same(t, given, named(given, "host:1"))
	bare := &tls.Config{MinVersion: tls.VersionTLS12}
	for addr, want := range map[string]string{"host:1": "host", "[::1]:1": "::1", "/run/redis.sock": "/run/redis.sock"} {
		require.Equal(t, want, named(bare, addr).ServerName)
	}
	require.Empty(t, bare.ServerName)
}
