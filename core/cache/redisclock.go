package cache

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// clocks are what the clocks of servers show, as this process has last heard: a set
// tells its server until when it is wanted, on the server's own clock. A clock that
// was set, or is not known, costs one set a round trip more.
type clocks struct {
	mu   sync.Mutex
	last map[string]reading // guarded by mu; by server
}

// reading is a server's time in microseconds, told at a moment of this process' own
// clock, or before.
type reading struct{ server, answered int64 }

func (c *clocks) learn(server string, r reading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil || len(c.last) >= maxServers {
		c.last = map[string]reading{}
	}
	c.last[server] = r
}

// window is the server's time now, and when left has passed, at the earliest: a
// server that was slow to answer is given no more time for it. Both are over when
// nothing is known of it.
func (c *clocks) window(server string, left time.Duration) (from, until int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.last[server]
	if !ok {
		return 0, 0
	}
	from = r.server + (now()-r.answered)/1000
	return from, from + left.Microseconds()
}

// windowOf is the window of what is wanted until ctx ends, as set.lua takes it.
func (p *place) windowOf(ctx context.Context, server string) (from, until string) {
	end, ends := ctx.Deadline()
	if !ends {
		return "", ""
	}
	f, u := p.r.clocks.window(server, time.Until(end))
	return strconv.FormatInt(f, 10), strconv.FormatInt(u, 10)
}
