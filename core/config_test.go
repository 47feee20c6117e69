package core

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/coretest"
)

func TestConfigRefusals(t *testing.T) {
	t.Parallel()
	const url = "redis://127.0.0.1:1"
	var nilClient *redis.Client
	same := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer same.Close() //nolint:errcheck // never connected
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"shard": "127.0.0.1:1"}})
	defer ring.Close() //nolint:errcheck // never connected
	for name, c := range map[string]struct {
		cfg  Config
		want string // a part of the error that names the field
	}{
		"no nodes":                 {Config{}, "Nodes: none given"},
		"nil client":               {Config{Clients: []redis.UniversalClient{nil}}, "Clients[0]: nil"},
		"nil client in interface":  {Config{Clients: []redis.UniversalClient{nilClient}}, "Clients[0]: nil"},
		"ring":                     {Config{Clients: []redis.UniversalClient{ring}}, "Clients[0]: a Ring"},
		"one address twice":        {Config{Nodes: []string{url, "redis://127.0.0.1:2", url + "/3"}}, "Nodes[2]: 127.0.0.1:1 is already Nodes[0]"},
		"one address as client":    {Config{Nodes: []string{url}, Clients: []redis.UniversalClient{same}}, "Clients[0]: 127.0.0.1:1 is already Nodes[0]"},
		"TTL negative":             {Config{Nodes: []string{url}, TTL: -1}, "TTL -1ns"},
		"TTL below 1ms":            {Config{Nodes: []string{url}, TTL: time.Millisecond - 1}, "TTL 999.999µs"},
		"TTL within drift":         {Config{Nodes: []string{url}, TTL: 2 * time.Millisecond}, "drift"},
		"TTL too long":             {Config{Nodes: []string{url}, TTL: math.MaxInt64}, "TTL"},
		"Wait negative":            {Config{Nodes: []string{url}, Wait: -1}, "Wait"},
		"RetryDelay negative":      {Config{Nodes: []string{url}, RetryDelay: -1}, "RetryDelay"},
		"NodeTimeout negative":     {Config{Nodes: []string{url}, NodeTimeout: -1}, "NodeTimeout"},
		"MaxHold negative":         {Config{Nodes: []string{url}, MaxHold: -1}, "MaxHold"},
		"MaxRetries negative":      {Config{Nodes: []string{url}, MaxRetries: -1}, "MaxRetries"},
		"DriftFactor negative":     {Config{Nodes: []string{url}, DriftFactor: -0.1}, "DriftFactor"},
		"DriftFactor 1":            {Config{Nodes: []string{url}, DriftFactor: 1}, "DriftFactor"},
		"DriftFactor not a number": {Config{Nodes: []string{url}, DriftFactor: math.NaN()}, "DriftFactor"},
		"Prefix too long":          {Config{Nodes: []string{url}, Prefix: strings.Repeat("p", maxPrefix+1)}, "Prefix"},
		"scheme":                   {Config{Nodes: []string{"http://127.0.0.1"}}, `Nodes[0]: scheme "http"`},
		"no URL":                   {Config{Nodes: []string{"127.0.0.1:6379"}}, "Nodes[0]: not a URL"},
		"unknown option":           {Config{Nodes: []string{url + "?no_such=1"}}, "no_such"},
		"bad option":               {Config{Nodes: []string{url + "?db=x"}}, "Nodes[0]"},
		"Python time-out":          {Config{Nodes: []string{url + "?socket_timeout=soon"}}, "socket_timeout"},
		"Python time-out 0":        {Config{Nodes: []string{url + "?socket_timeout=0"}}, "socket_timeout"},
		"Python time-out NaN":      {Config{Nodes: []string{url + "?socket_connect_timeout=NaN"}}, "socket_connect_timeout"},
		"too many nodes":           {Config{Nodes: make([]string, maxNodes+1)}, "65 given"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := New(c.cfg)
			require.Nil(t, m)
			require.ErrorIs(t, err, ErrInvalid)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := New(Config{TTL: -1, Wait: -1, MaxHold: -1, DriftFactor: 0.5, NodeTimeout: -1})
	for _, field := range []string{"Nodes", "TTL", "Wait", "MaxHold", "NodeTimeout"} {
		require.ErrorContains(t, err, field, "every mistake is named at once")
	}
	require.Equal(t, 1, strings.Count(err.Error(), ErrInvalid.Error()))
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	c := Config{}.withDefaults()
	require.Equal(t, "dlm", c.Prefix)
	require.Equal(t, 30*time.Second, c.TTL)
	require.Equal(t, 5*time.Second, c.Wait)
	require.Equal(t, 100*time.Millisecond, c.RetryDelay)
	require.Equal(t, time.Second, c.NodeTimeout)
	require.InDelta(t, 0.01, c.DriftFactor, 0)
	require.Equal(t, 10*time.Millisecond, Config{TTL: 20 * time.Millisecond}.withDefaults().NodeTimeout)
	require.Equal(t, 100*time.Millisecond, Config{TTL: time.Second}.withDefaults().NodeTimeout)
}

// What is refused is refused before any command.
func TestOptionRefusals(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	m := managerOn(t, nodes.URLs())
	require.NoError(t, nodes.Node(0).ResetCommandCalls())
	for name, opt := range map[string]Option{
		"TTL 0":             WithTTL(0),
		"TTL negative":      WithTTL(-time.Second),
		"TTL below 1ms":     WithTTL(time.Millisecond - 1),
		"TTL within drift":  WithTTL(2 * time.Millisecond),
		"TTL too long":      WithTTL(maxTTL + 1),
		"TTL overflowing":   WithTTL(math.MaxInt64),
		"wait negative":     WithWait(-1),
		"hold negative":     WithMaxHold(-1),
		"delay 0":           WithRetry(0, 1),
		"retries negative":  WithRetry(time.Second, -1),
		"metadata too long": WithMetadata(strings.Repeat("m", maxMetadata+1)),
	} {
		_, err := m.Acquire(t.Context(), "k", opt)
		require.ErrorIs(t, err, ErrInvalid, name)
		_, err = m.TryAcquire(t.Context(), "k", opt)
		require.ErrorIs(t, err, ErrInvalid, name)
		err = m.Do(t.Context(), "k", func(context.Context) error { return errors.New("ran") }, opt)
		require.ErrorIs(t, err, ErrInvalid, name)
	}
	calls, err := nodes.Node(0).CommandCalls()
	require.NoError(t, err)
	require.Zero(t, calls["eval"]+calls["evalsha"]+calls["set"])
	for name, opt := range map[string]Option{
		"longest TTL":  WithTTL(maxTTL),
		"shortest TTL": WithTTL(3 * time.Millisecond),
		"longest wait": WithWait(math.MaxInt64),
		"longest hold": WithMaxHold(math.MaxInt64),
		"no hold":      WithMaxHold(0),
		"no wait":      WithWait(0),
		"no option":    nil,
	} {
		l, err := m.Acquire(t.Context(), name, opt)
		if name != "shortest TTL" { // this machine may be too slow for it
			require.NoError(t, err, name)
			require.NoError(t, l.Release(t.Context()), name)
		}
	}
}

// One server under two names is two names for one vote.
func TestSameServerTwice(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 2)
	twice := []string{nodes.Node(0).URL(), nodes.Node(1).URL(), "unix://" + nodes.Node(0).SocketPath()}
	_, err := New(Config{Nodes: twice, NodeTimeout: unhurried})
	require.ErrorIs(t, err, ErrInvalid)
	require.ErrorContains(t, err, "the same server")

	// Also where the server does not tell who it is.
	for _, n := range nodes.All() {
		require.NoError(t, n.ACL("default", "-info"))
	}
	_, err = New(Config{Nodes: twice, Prefix: "shy", NodeTimeout: unhurried})
	require.ErrorContains(t, err, "the same server")

	// And where it is only found out later.
	late := coretest.Redis(t, 2)
	require.NoError(t, late.Node(0).Kill())
	proxy := coretest.ProxyTo(t, late.Node(0).URL())
	m := managerOn(t, []string{late.Node(0).URL(), late.Node(1).URL(), proxy.URL()}, withTTL(time.Second))
	require.NoError(t, late.Node(0).Restart())
	require.Eventually(t, func() bool {
		h, _ := m.Health(t.Context())
		return strings.Contains(h.Nodes[0].Reason+h.Nodes[2].Reason, "the same server")
	}, patience, 10*time.Millisecond)
	require.LessOrEqual(t, voters(m), 2)
}

func TestEvenNumberIsWarnedAbout(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 2)
	log := &logLines{}
	m := managerOn(t, nodes.URLs(), func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	require.Equal(t, 1, log.about("even number of nodes"))
	require.Equal(t, 2, m.Stats().Quorum)
	require.NoError(t, nodes.Node(0).Kill())
	_, err := m.TryAcquire(t.Context(), "k")
	require.ErrorIs(t, err, ErrNoQuorum)
}

// Nobody could use what a node grants as late as it may. Every default, and what a call
// asks for itself, is in order.
func TestNodeTimeoutAboveTTLIsWarnedAbout(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	for _, c := range []struct {
		ttl, timeout time.Duration
		warnings     int
	}{
		{time.Second, time.Second, 1}, {time.Minute, time.Hour, 1}, {time.Second, 990 * time.Millisecond, 1},
		{time.Second, 500 * time.Millisecond, 0}, {time.Second, 0, 0}, {0, 0, 0}, {5 * time.Millisecond, 0, 0},
	} {
		log := &logLines{}
		m := managerOn(t, nodes.URLs(), func(cfg *Config) {
			cfg.TTL, cfg.NodeTimeout, cfg.Logger = c.ttl, c.timeout, slog.New(slog.NewTextHandler(log, nil))
		})
		require.NoError(t, m.Check(WithTTL(10*time.Millisecond)))
		require.Equal(t, c.warnings, log.about("NodeTimeout is not below TTL"), "%v", c)
	}
}

// URLs written for the Python system work as they are.
func TestPythonURLs(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1)
	m := managerOn(t, []string{nodes.Node(0).URL() + "/0?socket_timeout=0.5&socket_connect_timeout=1"})
	require.NoError(t, hold(t, m, "k").Release(t.Context()))
}

// A dead node does not fill the log.
func TestLogOfDeadNodeIsShort(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 3)
	log := &logLines{}
	m := managerOn(t, nodes.URLs(), func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	began := time.Now()
	require.NoError(t, nodes.Node(0).Kill())
	for time.Since(began) < 2*time.Second {
		require.NoError(t, hold(t, m, "k").Release(t.Context()))
	}
	seconds := int(time.Since(began)/time.Second) + 1
	lines := log.about(nodes.Node(0).Addr())
	require.Positive(t, lines)
	require.LessOrEqual(t, lines, seconds)
}

const secret = "hunter2-correct-horse"

// A password in a URL is in no error, log line, health report or statistic.
func TestPasswordStaysSecret(t *testing.T) {
	t.Parallel()
	nodes := coretest.Redis(t, 1, coretest.WithPassword(secret))
	var shown bytes.Buffer
	show := func(err error) {
		if err != nil {
			shown.WriteString(err.Error() + "\n")
		}
	}
	for _, bad := range []string{
		"redis://:" + secret + "@127.0.0.1:port",
		"redis://:" + secret + "@127.0.0.1:1?no_such=1",
		"redis://user:" + secret + "@127.0.0.1:1/x",
		"redis://:" + secret + "@%zz",
		"http://:" + secret + "@127.0.0.1:1",
		"redis://:" + secret + "@127.0.0.1:1?db=" + secret,
		"redis://127.0.0.1:1?password=" + secret,
		"unix://:" + secret + "@",
		"redis://:4711/" + secret + "@127.0.0.1:1/0", // characters that end the password's place
		"redis://:4711?" + secret + "@127.0.0.1:1/0",
		"redis://user:4711#" + secret + "@127.0.0.1:1/0",
		"redis://:4711?socket_timeout=" + secret + "@127.0.0.1:1/0",
		"redis://" + secret + "@127.0.0.1:1?no_such=1", // a token in the user name's place
		"redis://" + secret + "@127.0.0.1:1/" + secret,
		"redis://" + secret + "@127.0.0.1:1?db=" + secret,
		"user:" + secret + "@127.0.0.1:1",
		secret + ":4711@127.0.0.1:1",
	} {
		_, err := New(Config{Nodes: []string{bad}, NodeTimeout: frozen})
		require.Error(t, err, bad)
		show(err)
	}
	log := &logLines{}
	logged := func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) }
	m := managerOn(t, nodes.URLs(), logged)
	require.NoError(t, hold(t, m, "k").Release(t.Context()))
	wrong := managerOn(t, []string{strings.Replace(nodes.Node(0).URL(), secret, secret+"-2", 1)}, logged)
	_, err := wrong.TryAcquire(t.Context(), "k")
	require.ErrorContains(t, err, "WRONGPASS")
	show(err)
	for _, m := range []*Manager{m, wrong} {
		h, err := m.Health(t.Context())
		show(err)
		for _, n := range h.Nodes {
			shown.WriteString(n.Node + n.Reason)
			show(n.Err)
		}
		for _, n := range m.Stats().Nodes {
			shown.WriteString(n.Node)
		}
	}
	require.NoError(t, nodes.Node(0).Kill())
	_, err = m.TryAcquire(t.Context(), "k")
	show(err)
	require.NotContains(t, shown.String(), secret)
	require.Zero(t, log.about(secret))
}
