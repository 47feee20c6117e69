package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/redis/go-redis/v9"
)

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// BareDialer is redis.NewDialer, or the options' own, that ends with its context also
// where it speaks TLS, and says what may be wrong when that fails.
func BareDialer(opt *redis.Options) func(ctx context.Context, network, addr string) (net.Conn, error) {
	dial := opt.Dialer
	switch {
	case opt.TLSConfig == nil && dial == nil:
		return redis.NewDialer(opt)
	case opt.TLSConfig == nil:
		return dial
	case dial == nil:
		plain := *opt
		plain.TLSConfig = nil
		dial = overTLS(redis.NewDialer(&plain), opt.TLSConfig)
	default: // likely to be that of redis.NewClient
		dial = inTime(dial)
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return conn, explainTLS(err)
	}
}

func overTLS(dial dialFunc, config *tls.Config) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		over := tls.Client(conn, named(config, addr))
		if err := over.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return over, nil
	}
}

// named has the server's certificate checked for the address, as tls.Dial does.
func named(config *tls.Config, addr string) *tls.Config {
	if config.ServerName != "" {
		return config
	}
	config = config.Clone()
	config.ServerName = addr
	if host, _, err := net.SplitHostPort(addr); err == nil {
		config.ServerName = host
	}
	return config
}

// inTime does not wait for a dial that takes no heed of its context. Such a one goes on
// until its own timeout, and what it brings then is closed.
func inTime(dial dialFunc) dialFunc {
	type dialed struct {
		conn net.Conn
		err  error
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		came := make(chan dialed)
		go func() {
			conn, err := dial(ctx, network, addr)
			select {
			case came <- dialed{conn, err}:
			case <-ctx.Done():
				if err == nil { // tls.Dialer has a nil that is none otherwise
					_ = conn.Close()
				}
			}
		}()
		select {
		case d := <-came:
			return d.conn, d.err
		case <-ctx.Done():
			return nil, &lateDial{ctx.Err()}
		}
	}
}

// lateDial is a dial that was not waited for.
type lateDial struct{ cause error }

func (e *lateDial) Error() string { return "no connection in time: " + e.cause.Error() }
func (e *lateDial) Unwrap() error { return e.cause }

// Bytes that no server can have meant otherwise.
const (
	respTypes = "+-:$*"    // of the first byte of a reply
	tlsAlert  = "\x15\x03" // type and major version: RFC 8446, section 5.1
)

// explainTLS says what a failed handshake suggests. What failed before it speaks for itself.
func explainTLS(err error) error {
	var (
		dialing *net.OpError
		late    *lateDial
		header  tls.RecordHeaderError
	)
	switch {
	case err == nil, errors.As(err, &dialing) && dialing.Op == "dial":
		return err
	case errors.As(err, &header) && strings.IndexByte(respTypes, header.RecordHeader[0]) >= 0:
		return fmt.Errorf("the server does not speak TLS on this port: write redis:// for rediss://, or name its TLS port: %w", err)
	case errors.As(err, &header):
		return fmt.Errorf("the server may not speak TLS on this port (without it: redis://): %w", err)
	case errors.As(err, &late):
		return fmt.Errorf("the server is out of reach, hangs, or does not speak TLS on this port (without it: redis://): %w", err)
	case isTimeout(err):
		return fmt.Errorf("TLS handshake not answered: the server hangs, or does not speak TLS on this port (without it: redis://): %w", err)
	case isEnd(err):
		return fmt.Errorf("the server ended the connection in the TLS handshake: it may not speak TLS on this port (without it: redis://): %w", err)
	}
	return err
}

// explainSetup says what to do about a connection that could not be used. said is the
// beginning of what the server has said.
func explainSetup(err error, said string, opt *redis.Options) error {
	var refused redis.Error
	switch {
	case errors.As(err, &refused):
		return explainRefusal(err, opt)
	case strings.HasPrefix(said, "-") && isEnd(err): // to whoever connects: go-redis takes it for an answer
		line, _, _ := strings.Cut(said[1:], "\r\n")
		return fmt.Errorf("the server said: %s; and ended the connection: %w", line, err)
	case said == "" && isTimeout(err):
		return fmt.Errorf("connected, but not answered: %w", err)
	case opt.TLSConfig != nil && said == "" && isEnd(err):
		return fmt.Errorf("the server ended the connection behind the TLS handshake: it may demand a certificate of its clients: %w", err)
	case opt.TLSConfig != nil:
		return err
	case strings.HasPrefix(said, tlsAlert):
		return fmt.Errorf("the server speaks TLS on this port: write rediss:// for redis://, or name its port without TLS: %w", err)
	case said != "" && strings.IndexByte(respTypes, said[0]) < 0:
		return fmt.Errorf("answered %.8q, which is not how Redis begins: is this the port of a Redis server? %w", said, err)
	case said == "" && isEnd(err):
		return fmt.Errorf("the server ended the connection without an answer: it may speak TLS on this port (with it: rediss://): %w", err)
	}
	return err
}

// explainRefusal says what to do about credentials.
func explainRefusal(err error, opt *redis.Options) error {
	switch text := err.Error(); {
	case strings.HasPrefix(text, "NOAUTH") && opt.Username != "" && opt.Password == "":
		return fmt.Errorf("%w (a user without a password is not sent: write redis://user:password@host, or redis://:password@host for a password alone)", err)
	case strings.HasPrefix(text, "NOAUTH") && opt.Password == "":
		return fmt.Errorf("%w (no password was given: write redis://:password@host, or redis://user:password@host)", err)
	case strings.HasPrefix(text, "WRONGPASS") && opt.Username == "":
		return fmt.Errorf("%w (check the password: it is taken for that of the user default, as none was named; redis://user:password@host names one)", err)
	case strings.HasPrefix(text, "WRONGPASS"):
		return fmt.Errorf("%w (check the user's name and password, and on the server by ACL LIST that the user is on)", err)
	}
	return err
}

func isTimeout(err error) bool {
	var slow net.Error
	return errors.As(err, &slow) && slow.Timeout()
}

// isEnd reports whether the server, or what stands for it, has ended the connection.
func isEnd(err error) bool {
	var call *os.SyscallError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &call) && !isTimeout(err)
}
