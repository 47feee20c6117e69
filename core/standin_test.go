package core

import (
	"bufio"
	"context"
	"crypto/sha1" //nolint:gosec // Redis names scripts by SHA-1
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/require"
)

// standIn answers in place of a server inside a synctest bubble, where a real one
// cannot be: it knows what a Manager sends, over net.Pipe, and fails in the ways
// of servers and networks. Time passes there only while everybody waits, so what
// its tests say about time is exact.
type standIn struct {
	name string
	ends sync.WaitGroup

	mu      sync.Mutex
	latency time.Duration         // of every reply. Guarded by mu
	fault   standInFault          // guarded by mu
	healed  chan struct{}         // closed when the fault is over. Guarded by mu
	conns   map[*standInConn]bool // that are open. Guarded by mu
	dials   int                   // guarded by mu
	open    int                   // connections that the client has. Guarded by mu
	most    int                   // the most of them at a time. Guarded by mu
	locks   map[string]standInKey // guarded by mu
	fences  map[string]string     // guarded by mu
	marker  string                // guarded by mu
	longest int64                 // TTL in ms. Guarded by mu
}

type standInKey struct {
	record string
	until  time.Time
}

type standInFault string

const (
	standsWell   standInFault = ""
	standsFrozen standInFault = "frozen"    // accepts everything and answers nothing until it is over
	standsDown   standInFault = "down"      // connections break, and new ones are refused
	standsFar    standInFault = "far"       // connections break, and attempts to connect hang
	standsHalf   standInFault = "half-open" // connections are dead for ever, new ones work
	standsMute   standInFault = "mute"      // every connection breaks at its first command
	standsMad    standInFault = "flapping"  // every connection breaks at its first use, after all has looked well
)

const standInDialTimeout = 5 * time.Second

func newStandIns(t *testing.T, count int, latency time.Duration) (all []*standIn) {
	for i := range count {
		n := &standIn{
			name: fmt.Sprint("stand-in-", i), latency: latency, healed: make(chan struct{}),
			conns: map[*standInConn]bool{}, locks: map[string]standInKey{}, fences: map[string]string{},
		}
		t.Cleanup(func() {
			n.suffer(standsDown)
			n.ends.Wait()
		})
		all = append(all, n)
	}
	return all
}

// managerOnStandIns is closed by the caller, inside of the bubble.
func managerOnStandIns(t *testing.T, all []*standIn, cfg Config) *Manager {
	t.Helper()
	for _, n := range all {
		client := redis.NewClient(&redis.Options{
			Addr: n.name, Dialer: n.dial,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}, // looks the name up
		})
		t.Cleanup(func() { _ = client.Close() })
		cfg.Clients = append(cfg.Clients, client)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	m, err := New(cfg)
	require.NoError(t, err)
	return m
}

// suffer ends one fault and begins another.
func (n *standIn) suffer(f standInFault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fault = f
	close(n.healed)
	n.healed = make(chan struct{})
	for c := range n.conns {
		switch f {
		case standsDown, standsFar:
			_ = c.Close()
		case standsHalf:
			c.dead = true
		}
	}
}

// slowDown changes the latency.
func (n *standIn) slowDown(latency time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.latency = latency
}

func (n *standIn) replyTime() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.latency
}

func (n *standIn) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials++
	switch n.fault {
	case standsDown:
		return nil, errors.New("connection refused")
	case standsFar:
		healed := n.healed
		n.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-healed:
		case <-time.After(standInDialTimeout): // the Dialer's own
		}
		n.mu.Lock()
		return nil, fmt.Errorf("i/o timeout: %w", context.DeadlineExceeded)
	}
	ours, theirs := net.Pipe()
	c := &standInConn{Conn: theirs, n: n, commands: make(chan []string, 1<<14), gone: make(chan struct{})}
	n.conns[c] = true
	n.open++
	n.most = max(n.most, n.open)
	n.ends.Go(c.listen)
	n.ends.Go(c.serve)
	return &standInClient{Conn: ours, n: n}, nil
}

// standInClient is the client's end of a connection.
type standInClient struct {
	net.Conn
	n    *standIn
	once sync.Once
}

func (c *standInClient) Close() error {
	c.once.Do(func() {
		c.n.mu.Lock()
		defer c.n.mu.Unlock()
		c.n.open--
	})
	return c.Conn.Close()
}

// standInConn is the server's end of a connection.
type standInConn struct {
	net.Conn
	n        *standIn
	commands chan []string // as they arrive
	gone     chan struct{} // closed when the client has gone
	dead     bool          // guarded by n.mu
}

// listen takes commands as the kernel would, answered or not.
func (c *standInConn) listen() {
	defer close(c.gone)
	defer close(c.commands)
	in := bufio.NewReader(c.Conn)
	for {
		words, err := readWords(in)
		if err != nil {
			return
		}
		c.commands <- words
	}
}

func (c *standInConn) serve() {
	defer func() {
		_ = c.Close()
		for range c.commands { // what is sent to the dead
		}
		c.n.mu.Lock()
		defer c.n.mu.Unlock()
		delete(c.n.conns, c)
	}()
	for words := range c.commands {
		if d := c.n.replyTime(); d > 0 {
			time.Sleep(d) // in the bubble
		}
		text, ok := c.answer(words)
		if !ok {
			return
		}
		if _, err := io.WriteString(c.Conn, text); err != nil {
			return
		}
	}
}

// answer waits while the server is frozen, and executes.
func (c *standInConn) answer(words []string) (text string, ok bool) {
	n := c.n
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.fault == standsFrozen {
		healed := n.healed
		n.mu.Unlock()
		select {
		case <-healed:
		case <-c.gone:
		}
		n.mu.Lock()
		if n.fault == standsFrozen {
			return "", false
		}
	}
	switch {
	case n.fault == standsMute, n.fault == standsMad && (words[0] == "SET" || words[0] == "EVALSHA"):
		return "", false
	case c.dead:
		return "", true
	}
	return n.execute(words), true
}

// execute is what the commands and scripts of a Manager do, without what nobody
// here needs: waking and quarantine. mu is held.
func (n *standIn) execute(words []string) string {
	args := words[1:]
	switch strings.ToUpper(words[0]) {
	case "PING":
		return "+PONG\r\n"
	case "INFO":
		return bulk("run_id:" + n.name + "\r\nuptime_in_seconds:1\r\nrole:master\r\nredis_version:7.4.0\r\n")
	case "SCRIPT", "CLIENT":
		return "+OK\r\n"
	case "SUBSCRIBE":
		return "*3\r\n" + bulk("subscribe") + bulk(args[0]) + ":1\r\n"
	case "SET": // lock record NX PX ttl
		if n.record(args[0]) != "" {
			return "$-1\r\n"
		}
		n.put(args[0], args[1], args[4])
		return "+OK\r\n"
	case "ZADD": // fence XX GT CH score member
		if last, ok := n.fences[args[0]]; !ok || last >= args[4] { // of equal length
			return ":0\r\n"
		}
		n.fences[args[0]] = args[4]
		return ":1\r\n"
	case "EVAL", "EVALSHA":
		count, _ := strconv.Atoi(args[1])
		return n.run(scriptNamed(args[0]), args[2:2+count], args[2+count:])
	}
	return "-ERR unknown command\r\n"
}

func (n *standIn) run(source string, keys, args []string) string {
	held := n.record(keys[0])
	ours := held != "" && strings.HasPrefix(held, args0(args))
	switch source {
	case meetSource:
		return n.meet(args[2], args[4])
	case acquireSource:
		if held != "" && !ours {
			return fmt.Sprintf(":%d\r\n", -1-time.Until(n.locks[keys[0]].until).Milliseconds())
		}
		n.put(keys[0], args[0]+":"+args[2]+":"+args[4], args[1])
		n.fences[keys[1]] = max(n.fences[keys[1]], args[3])
		return ":" + args[2] + "\r\n"
	case raiseSource:
		return map[bool]string{true: ":1\r\n", false: ":0\r\n"}[ours]
	case renewSource:
		all := fmt.Sprintf("*%d\r\n", len(keys))
		for i, key := range keys {
			all += n.renew(key, args[2*i], args[2*i+1])
		}
		return all
	case inspectSource:
		if held == "" {
			return "*0\r\n"
		}
		return fmt.Sprintf("*2\r\n%s:%d\r\n", bulk(held), time.Until(n.locks[keys[0]].until).Milliseconds())
	case releaseSource:
		if held == "" || !ours {
			return map[bool]string{true: ":0\r\n", false: ":-1\r\n"}[held == ""]
		}
		delete(n.locks, keys[0])
		return ":2\r\n"
	case releaseJointSource:
		locks := keys[:len(keys)/2]
		all := fmt.Sprintf("*%d\r\n", len(locks))
		for i, lock := range locks {
			all += n.run(releaseSource, []string{lock}, args[i:i+1])
		}
		return all
	}
	return "-NOSCRIPT\r\n"
}

func (n *standIn) renew(key, owner, ttl string) string {
	held := n.record(key)
	if !strings.HasPrefix(held, owner) || held == "" {
		return map[bool]string{true: ":0\r\n", false: ":-1\r\n"}[held == ""]
	}
	n.put(key, held, ttl)
	return ":1\r\n"
}

// meet marks the server as one of a new deployment.
func (n *standIn) meet(id, longest string) string {
	if n.marker == "" {
		n.marker = id
	}
	ms, _ := strconv.ParseInt(longest, 10, 64)
	n.longest = max(n.longest, ms)
	return fmt.Sprintf("*%d\r\n%s:0\r\n:%d\r\n:%d\r\n:-1\r\n:0\r\n", meetItems, bulk(n.marker), time.Now().UnixMilli(), n.longest)
}

func (n *standIn) record(lock string) string {
	if k := n.locks[lock]; time.Now().Before(k.until) {
		return k.record
	}
	return ""
}

func (n *standIn) put(lock, record, ttl string) {
	ms, _ := strconv.Atoi(ttl)
	n.locks[lock] = standInKey{record, time.Now().Add(time.Duration(ms) * time.Millisecond)}
}

func bulk(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

func args0(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// scriptNamed finds a script by its source or by its SHA-1.
func scriptNamed(name string) string {
	for _, source := range []string{acquireSource, raiseSource, releaseSource, releaseJointSource, renewSource, inspectSource, meetSource} {
		sum := sha1.Sum([]byte(source)) //nolint:gosec // not for secrecy
		if name == source || name == hex.EncodeToString(sum[:]) {
			return source
		}
	}
	return ""
}

// readWords reads a command.
func readWords(in *bufio.Reader) ([]string, error) {
	line, err := in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	count, err := strconv.Atoi(strings.Trim(line, "*\r\n"))
	if err != nil {
		return nil, err
	}
	words := make([]string, count)
	for i := range words {
		if line, err = in.ReadString('\n'); err != nil {
			return nil, err
		}
		size, err := strconv.Atoi(strings.Trim(line, "$\r\n"))
		if err != nil {
			return nil, err
		}
		word := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(in, word); err != nil {
			return nil, err
		}
		words[i] = string(word[:size])
	}
	return words, nil
}
