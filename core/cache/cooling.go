package cache

import (
	"maps"
	"time"
)

// cooldown keeps a failed refresh from being repeated at every call.
type cooldown struct {
	until int64
	err   error
}

// maxCooling bounds the keys that are remembered as failing; beyond it they are
// retried, which is what happens without a cooldown.
const maxCooling = 10_000

// sweepsPerCooldown is how often within RetryAfter a full table is searched for what is
// over: not for every key that fails, since nobody gets on meanwhile.
const sweepsPerCooldown = 8

// cool leaves the key alone for RetryAfter.
func (c *Cache[V]) cool(key string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := now()
	if len(c.cooling) >= maxCooling && at-c.swept >= int64(c.cfg.RetryAfter/sweepsPerCooldown) {
		c.swept = at
		maps.DeleteFunc(c.cooling, func(_ string, cd cooldown) bool { return cd.until <= at })
	}
	if len(c.cooling) < maxCooling {
		c.cooling[key] = cooldown{at + int64(c.cfg.RetryAfter/time.Nanosecond), err}
	}
}

// coolingOff is the error of a refresh that failed a moment ago.
func (c *Cache[V]) coolingOff(key string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	cd, ok := c.cooling[key]
	if !ok {
		return nil
	}
	if cd.until <= now() {
		delete(c.cooling, key)
		return nil
	}
	return cd.err
}

// warm forgets the failure.
func (c *Cache[V]) warm(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.cooling, key)
}
