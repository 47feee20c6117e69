package keyfuncs

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// IP is the address of the client. Without trusted proxies that is the peer of
// the connection, whatever the headers claim.
//
// When the peer is a trusted proxy, X-Forwarded-For or Forwarded (RFC 7239) is
// read from its end, where the proxies append, and the first address that is
// not itself a trusted proxy is the client's. What stands further left was
// written by the client and is ignored. When both headers are present they
// must name the same client: a proxy that maintains one of them passes the
// other on from whoever forged it. Where they differ, or where a trusted proxy
// noted no address, the key fails with a [MalformedError].
//
// IPv4 addresses mapped into IPv6 are unmapped; zones are dropped. IP panics
// if a prefix is the zero Prefix.
func IP(trusted ...netip.Prefix) Func {
	c, err := newSourceConfig("<ip>", []Option{WithTrustedProxies(trusted...)})
	if err != nil {
		panic("keyfuncs: IP: " + err.Error())
	}
	return must(ipSource("", c)).single()
}

func ipSource(_ string, c sourceConfig) (source, error) {
	proxies := trustedProxies(c.trusted)
	return source{kind: "ip", read: func(r *http.Request) (string, bool, error) {
		peer, ok := parseNode(r.RemoteAddr)
		if !ok { // a Unix socket has no address
			return "", false, nil
		}
		client, err := proxies.client(peer, r.Header)
		if err != nil {
			return "", false, &MalformedError{Source: "ip", Err: err}
		}
		return client.String(), true, nil
	}}, nil
}

// trustedProxies are the networks whose forwarding headers are believed.
type trustedProxies []netip.Prefix

func (t trustedProxies) contain(a netip.Addr) bool {
	return slices.ContainsFunc(t, func(p netip.Prefix) bool { return p.Contains(a) })
}

var (
	errForwardedNode   = errors.New("a trusted proxy forwarded for a node without an address")
	errForwardedDiffer = errors.New("the headers X-Forwarded-For and Forwarded name different clients")
)

func (t trustedProxies) client(peer netip.Addr, h http.Header) (netip.Addr, error) {
	if !t.contain(peer) {
		return peer, nil
	}
	legacy, forwarded := forwardedFor(h["X-Forwarded-For"]), forwardedNodes(h["Forwarded"])
	client, err := t.outermost(peer, legacy)
	if err != nil || len(forwarded) == 0 {
		return client, err
	}
	standard, err := t.outermost(peer, forwarded)
	if err == nil && len(legacy) > 0 && standard != client {
		err = errForwardedDiffer
	}
	return standard, err
}

// outermost walks the chain of nodes from our side outwards, up to and
// including the first that is not trusted.
func (t trustedProxies) outermost(peer netip.Addr, nodes []string) (netip.Addr, error) {
	client := peer
	for _, node := range slices.Backward(nodes) {
		addr, ok := parseNode(node)
		if !ok {
			return netip.Addr{}, errForwardedNode
		}
		client = addr
		if !t.contain(addr) {
			break
		}
	}
	return client, nil
}

// parseNode reads an address with or without a port, IPv6 with or without
// brackets.
func parseNode(s string) (netip.Addr, bool) {
	bare := s
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		bare = s[1 : len(s)-1]
	}
	addr, err := netip.ParseAddr(bare)
	if err != nil {
		addrPort, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = addrPort.Addr()
	}
	return addr.WithZone("").Unmap(), true
}
