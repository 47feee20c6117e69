package guard

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/market-intel-brain/dlm/core/cache"
)

// errAlone: the memory of one process cannot tell what another one ran.
var errAlone = errors.New("nil Store: with Idempotent, and a Manager whose Clients are more than single servers, name the store that all processes share, such as cache.NewRedis(client)")

// open opens what the Guard keeps responses in, if it does.
func (g *Guard) open() (err error) {
	caches := g.Key != nil && (g.Fresh > 0 || g.Stale > 0)
	if !caches && g.Idempotent == nil {
		return nil
	}
	g.store = g.Store
	if g.store == nil {
		g.store, g.closing = defaultStore(g.Locks)
		if _, alone := g.store.(*cache.Memory); alone && g.Idempotent != nil {
			return errAlone
		}
	}
	if caches {
		if err = g.openCache(); err != nil {
			return err
		}
	}
	if g.Idempotent != nil {
		err = g.openReplays()
	}
	return err
}

func (g *Guard) openCache() (err error) {
	cfg := g.cacheConfig("")
	cfg.Fresh, cfg.Stale, cfg.Jitter, cfg.Wait = g.Fresh, g.Stale, g.Jitter, max(g.Wait, 0)
	if g.OnUnavailable == FailClosed {
		cfg.OnLockFailure = cache.FailClosed
	}
	g.cache, err = cache.New[*response](cfg)
	return err
}

// cacheConfig is what all that is kept in the store has in common. The kind keeps it
// apart from what else is there.
func (g *Guard) cacheConfig(kind string) cache.Config {
	return cache.Config{
		Namespace: kind + cacheNamespace(g.Namespace), Locks: g.Locks, Store: g.store, Codec: codec{&g.policy},
		LockTTL: g.TTL, MaxHold: g.MaxHold, StoreTimeout: g.Locks.NodeTimeout(), MaxValue: int(g.MaxBody) + 1<<20, Logger: g.Logger,
	}
}

// cacheNamespace fits a Namespace of any bytes into a cache's.
func cacheNamespace(namespace string) string {
	if namespace == "" {
		return "guard"
	}
	sum := sha256.Sum256([]byte(namespace))
	return "guard:" + hex.EncodeToString(sum[:16])
}
