package coretest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// A Proxy stands between clients and one server and does to their connections
// what networks do. A fault holds for the connections there are and for those
// that come, until [Proxy.Resume]. All methods may be called at the same time by
// several goroutines.
type Proxy struct {
	url    url.URL // of the server, but for the host, which is the proxy's
	target string
	claim  *portClaim
	report func(error) // nil outside of tests

	// ctx ends with the proxy, and every goroutine of it with ctx.
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex // guards what follows
	listener net.Listener
	faults   *faults
	links    map[*link]struct{}
	accepted int
}

// faults is what happens to passing bytes now. It never changes: a new one
// takes its place, and changed is closed then.
type faults struct {
	changed  chan struct{}
	delay    [2]time.Duration // by direction
	hold     bool
	halfOpen bool
	drop     dropRule
	cut      [2]*cutRule // by direction; nil for none
}

// ProxyTo starts a proxy in front of the server at a URL such as
// [Node.URL], and takes it down when the test ends.
func ProxyTo(tb testing.TB, serverURL string) *Proxy {
	tb.Helper()
	p, err := StartProxy(serverURL)
	if err != nil {
		tb.Fatal(err)
	}
	p.report = func(err error) { tb.Error(err) }
	adopt(tb, p)
	return p
}

// ProxiesTo starts a proxy in front of each of the servers.
func ProxiesTo(tb testing.TB, serverURLs []string) []*Proxy {
	tb.Helper()
	proxies := make([]*Proxy, len(serverURLs))
	for i, serverURL := range serverURLs {
		proxies[i] = ProxyTo(tb, serverURL)
	}
	return proxies
}

// StartProxy is [ProxyTo] for programs that are not tests.
func StartProxy(serverURL string) (*Proxy, error) {
	u, err := url.Parse(serverURL)
	if err != nil {
		return nil, fmt.Errorf("coretest: %w", err)
	}
	if _, _, err := net.SplitHostPort(u.Host); err != nil {
		return nil, fmt.Errorf("coretest: proxy to %s: want a URL with host and port: %w", u.Redacted(), err)
	}
	p := &Proxy{url: *u, target: u.Host, links: map[*link]struct{}{}}
	p.faults = &faults{changed: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	err = startOnPort(false, func(claim *portClaim) error {
		p.claim, p.url.Host = claim, claim.addr()
		return p.Accept()
	})
	if err != nil {
		p.cancel()
		return nil, err
	}
	return p, nil
}

// Close ends all connections and every goroutine of the proxy. It is safe to
// call twice.
func (p *Proxy) Close() error {
	p.cancel() // before Refuse, so that no Accept comes after it
	err := p.Refuse()
	p.running.Wait()
	p.claim.release()
	return err
}

// Addr is the proxy's host:port.
func (p *Proxy) Addr() string { return p.url.Host }

// URL is the server's URL with the proxy's host and port.
func (p *Proxy) URL() string { return p.url.String() }

// Connections counts the connections that are open now.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Accepted counts the connections accepted since the proxy was started.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

func (p *Proxy) check(what string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("coretest: proxy %s: %s: %w", p.Addr(), what, err)
	if p.report != nil {
		p.report(err)
	}
	return err
}

// Refuse has new connections refused, as where no server listens. Open ones
// live on; see [Proxy.Reset].
func (p *Proxy) Refuse() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener == nil {
		return nil
	}
	listener := p.listener
	p.listener = nil
	return p.check("refuse", listener.Close())
}

// Accept ends [Proxy.Refuse].
func (p *Proxy) Accept() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		return nil
	}
	if p.ctx.Err() != nil {
		return p.check("accept", net.ErrClosed)
	}
	listener, err := net.Listen("tcp4", p.claim.addr())
	if err != nil {
		return p.check("accept", err)
	}
	p.listener = listener
	p.running.Go(func() { p.serve(listener) })
	return nil
}

func (p *Proxy) serve(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return // closed by Refuse or Close
		}
		p.open(conn.(*net.TCPConn))
	}
}

// Reset ends all open connections with a TCP reset. What was held is lost.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		_ = l.ends[requests].SetLinger(0)
		_ = l.ends[requests].Close()
		l.cancel()
	}
}

// change puts other faults in the place of the present ones.
func (p *Proxy) change(edit func(*faults)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := *p.faults
	next.changed = make(chan struct{})
	edit(&next)
	close(p.faults.changed)
	p.faults = &next
}

func (p *Proxy) now() *faults {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults
}

// Delay has every byte arrive later, by so much on its way to the server and by
// so much on its way to the client. The bandwidth stays.
func (p *Proxy) Delay(toServer, toClient time.Duration) {
	p.change(func(f *faults) { f.delay = [2]time.Duration{toServer, toClient} })
}

// Hold accepts connections and bytes and delivers nothing until [Proxy.Resume],
// as a network that stalls. It keeps what 64 reads give in each direction of a
// connection, the system's socket buffers keep more, after that a sender blocks.
func (p *Proxy) Hold() { p.change(func(f *faults) { f.hold = true }) }

// HalfOpen accepts connections and bytes and forgets the bytes, as a firewall
// that has lost its state; nor does either side hear of the other's going away.
// A connection that has lost bytes stays mute after [Proxy.Resume].
func (p *Proxy) HalfOpen() { p.change(func(f *faults) { f.halfOpen = true }) }

// DropReplies loses the server's replies: the server has executed the command,
// the client's connection is cut instead of the answer.
func (p *Proxy) DropReplies() {
	p.change(func(f *faults) { f.drop = dropRule{all: true} })
}

// DropRepliesTo is [Proxy.DropReplies] for connections that send a command of
// which one word is arg, in upper or lower case: its name, a key, the hash of a
// script. Others are left alone, such as the handshake of a new connection. It
// cannot see into TLS.
func (p *Proxy) DropRepliesTo(arg string) {
	p.change(func(f *faults) { f.drop = newDropRule(arg) })
}

// CutRequestsAfter lets each connection send n more bytes to the server and
// cuts it then, in the middle of a command if need be.
func (p *Proxy) CutRequestsAfter(n int) {
	p.change(func(f *faults) { f.cut[requests] = &cutRule{after: n} })
}

// CutRepliesAfter lets each connection receive n more bytes from the server and
// cuts it then, in the middle of a reply if need be.
func (p *Proxy) CutRepliesAfter(n int) {
	p.change(func(f *faults) { f.cut[replies] = &cutRule{after: n} })
}

// Resume ends all faults: what was held is delivered in order, new connections
// are accepted.
func (p *Proxy) Resume() error {
	p.change(func(f *faults) { *f = faults{changed: f.changed} })
	return p.Accept()
}
