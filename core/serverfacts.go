package core

import (
	"bufio"
	"errors"
	"strconv"
	"strings"
	"time"
)

// facts are what a server says of itself. Managed services and restricted users
// may not be told; "" and -1 then.
type facts struct {
	runID, role, mode, version, eviction string
	uptime                               time.Duration
	promoted                             bool // was a replica once, so its data may lack what its primary had last
}

func parseInfo(text string) facts {
	f := facts{uptime: -1}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		field, value, _ := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		switch field {
		case "run_id":
			f.runID = value
		case "second_repl_offset":
			f.promoted = value != "-1"
		case "role":
			f.role = value
		case "redis_mode":
			f.mode = value
		case "redis_version":
			f.version = value
		case "maxmemory_policy":
			f.eviction = value
		case "uptime_in_seconds":
			if s, err := strconv.ParseInt(value, 10, 40); err == nil && s >= 0 {
				f.uptime = time.Duration(s) * time.Second
			}
		}
	}
	return f
}

// unfit says why the server can grant no lock, however well it answers.
func (f facts) unfit() error {
	switch {
	case f.role == "slave":
		return errReplica
	case f.mode == "cluster":
		return errClusterNode
	case f.mode == "sentinel":
		return errSentinel
	}
	return nil
}

// evicts reports whether the server may drop lock keys to make room: every lock
// key has a TTL, the fencing counters have none.
func (f facts) evicts() bool { return f.eviction != "" && f.eviction != "noeviction" }

// warnOf says once what makes a server unsafe.
func (m *Manager) warnOf(n *node, f facts) {
	if f.evicts() && !n.warned.Swap(true) {
		m.cfg.Logger.Warn("dlm: server may evict lock keys; set maxmemory-policy noeviction", "node", n.name, "maxmemory-policy", f.eviction)
	}
}

var (
	errReplica     = errors.New("is a replica: name the primary")
	errClusterNode = errors.New("is a node of a Redis Cluster: pass a redis.NewClusterClient of the whole Cluster in Clients")
	errSentinel    = errors.New("is a Sentinel: pass a redis.NewFailoverClient of its group in Clients")
)
