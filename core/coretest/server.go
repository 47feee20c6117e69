package coretest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrNoServer says that redis-server is not installed, and what to type.
var ErrNoServer = errors.New("coretest: redis-server is not in $PATH; install it: " +
	"apt-get install -y redis-server (Debian, Ubuntu), brew install redis (macOS)")

// errPortTaken says that somebody outside of this package bound the port
// between its claim and the start of the server.
var errPortTaken = errors.New("port is taken")

func serverBinary() (string, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return "", ErrNoServer
	}
	return path, nil
}

// directives is the whole configuration of a node's next run.
// n.mu must be held.
func (n *Node) directives() map[string]string {
	s := n.nodes.settings
	port := strconv.Itoa(n.claim.port)
	d := map[string]string{
		"bind":       host,
		"port":       port,
		"unixsocket": n.SocketPath(),
		"dir":        n.dir,
		"loglevel":   "warning",
		"save":       "",
		"appendonly": "no",
	}
	if s.persistent {
		d["appendonly"], d["appendfsync"] = "yes", "always"
	}
	if n.nodes.authority != nil {
		maps.Copy(d, n.nodes.authority.directives())
		d["port"], d["tls-port"] = "0", port
	}
	if s.cluster {
		d["cluster-enabled"] = "yes"
		// The default of 15 s is for networks; much less, and a loaded machine
		// takes live nodes for dead.
		d["cluster-node-timeout"] = "5000"
	}
	if _, password := n.credentials(); password != "" {
		d["requirepass"], d["masterauth"] = password, password
	}
	maps.Copy(d, s.config)
	return d
}

// launch runs the server and returns once it answers. n.mu must be held.
func (n *Node) launch(ctx context.Context) error {
	if err := n.prepare(); err != nil {
		return err
	}
	conf, err := n.writeConfig()
	if err != nil {
		return err
	}
	log, err := os.Create(n.logPath())
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own descriptor
	cmd := exec.Command(n.binary, n.arguments(conf)...)
	cmd.Stdout, cmd.Stderr = log, log
	p, err := spawn(cmd)
	if err != nil {
		return err
	}
	if err := n.awaitPong(ctx, p); err != nil {
		return errors.Join(err, p.kill())
	}
	n.proc = p
	return nil
}

func (n *Node) arguments(conf string) []string {
	if n.nodes.settings.sentinel != nil {
		return []string{conf, "--sentinel"}
	}
	return []string{conf}
}

// prepare removes what an earlier run left on disk: a replica keeps the snapshot
// it was sent although it was told to save nothing. What a cluster node knows
// of its cluster stays.
func (n *Node) prepare() error {
	if err := os.MkdirAll(n.dir, 0o700); err != nil || n.nodes.settings.persistent {
		return err
	}
	err := os.Remove(filepath.Join(n.dir, "dump.rdb"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// writeConfig puts the directives into a file: on a command line a password
// would be there for all to see.
func (n *Node) writeConfig() (string, error) {
	path := filepath.Join(n.dir, "redis.conf")
	if n.nodes.settings.sentinel != nil {
		if _, err := os.Stat(path); err == nil {
			return path, nil // a sentinel keeps what it has learned in its configuration
		}
	}
	var conf strings.Builder
	d := n.directives()
	for _, key := range slices.Sorted(maps.Keys(d)) {
		fmt.Fprintf(&conf, "%s %s\n", key, quoteDirective(key, d[key]))
	}
	conf.WriteString(n.nodes.settings.sentinel.directives())
	return path, os.WriteFile(path, []byte(conf.String()), 0o600)
}

// severalWords are the directives whose value is a list of words; of all others
// the value is one word, whatever it holds.
var severalWords = map[string]bool{
	"save": true, "user": true, "client-output-buffer-limit": true, "bind": true,
	"replicaof": true, "rename-command": true,
}

func quoteDirective(key, value string) string {
	if severalWords[key] && value != "" {
		return value
	}
	return strconv.Quote(value)
}

// awaitPong polls until the server takes commands, which is after it has
// loaded its data.
func (n *Node) awaitPong(ctx context.Context, p *process) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := n.client.Ping(ctx).Err()
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return n.postMortem()
		case <-ctx.Done():
			return fmt.Errorf("no answer: %w (%w)", err, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// postMortem is the error of a server that ended instead of answering.
func (n *Node) postMortem() error {
	log := strings.TrimSpace(n.Log())
	if strings.Contains(log, "Address already in use") {
		return fmt.Errorf("%w: %s", errPortTaken, log)
	}
	return fmt.Errorf("redis-server ended at once: %s", log)
}
