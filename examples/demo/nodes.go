package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/examples/internal/redisnodes"
)

// ownNodes is how many there are when none are given.
const ownNodes = 5

// nodes are what the fleet locks on. One of them can be made to die.
type nodes struct {
	io.Closer
	urls    []string
	text    string
	members []*member
	kill    func() error
	heal    func() error // what kill has done
}

func (n *nodes) String() string { return n.text }

// openNodes takes the nodes of REDIS_NODES, or starts some: redis-server
// processes, or embedded ones.
func openNodes(ctx context.Context, real bool) (*nodes, error) {
	if urls := redisnodes.FromEnv(); len(urls) > 0 {
		return givenNodes(urls)
	}
	if real {
		servers, err := coretest.Start(ctx, ownNodes)
		if err != nil {
			return nil, err
		}
		return startedNodes(servers, servers.URLs(), ownMembers(servers.All()), "redis-server processes"), nil
	}
	embedded, err := coretest.StartEmbedded(ownNodes)
	if err != nil {
		return nil, err
	}
	return startedNodes(embedded, embedded.URLs(), ownMembers(embedded.All()), "embedded Redis nodes"), nil
}

func startedNodes(c io.Closer, urls []string, members []*member, what string) *nodes {
	victim := members[0]
	return &nodes{
		Closer: c, urls: urls, members: members, text: fmt.Sprintf("%d %s", len(urls), what),
		kill: func() error { return victim.do("kill") },
		heal: func() error { return victim.do("restart") },
	}
}

// givenNodes are not the demo's to kill. A proxy stands before one of them and
// cuts the way to it, which looks the same from this side.
func givenNodes(urls []string) (*nodes, error) {
	if len(urls) < 3 {
		return nil, fmt.Errorf("REDIS_NODES names %d: name 3 or 5, of which one can fail", len(urls))
	}
	urls = append([]string(nil), urls...)
	for i, raw := range urls {
		// TLS would find the proxy's name in no certificate, and a Unix socket
		// has no port to stand before.
		if !strings.HasPrefix(raw, "redis://") {
			continue
		}
		proxy, err := coretest.StartProxy(withPort(raw))
		if err != nil {
			return nil, err
		}
		urls[i] = proxy.URL()
		return &nodes{
			Closer: proxy, urls: urls, members: givenMembers(urls), text: fmt.Sprintf("%d Redis nodes from REDIS_NODES", len(urls)),
			kill: func() error {
				defer proxy.Reset()
				return proxy.Refuse()
			},
			heal: proxy.Accept,
		}, nil
	}
	return nil, errors.New("REDIS_NODES: at least one must be a redis:// URL, whose connections the demo can cut")
}

// withPort makes the default port explicit.
func withPort(raw string) string {
	u, err := url.Parse(raw)
	if err == nil && u.Port() == "" && u.Host != "" {
		u.Host = net.JoinHostPort(u.Hostname(), "6379")
		return u.String()
	}
	return raw
}
