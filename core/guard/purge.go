package guard

import "context"

// Purge removes every response stored for these keys, as Config.Key gives them,
// of all routes, targets and variants of the Guard's Namespace. Nothing made
// before the call is served by this process once it returned, nor by another one
// a message later, or 3 seconds where the message is lost (see [cache.Tiered]), and
// handlers under way do not store what they answer. Keys are taken literally.
//
// On an error repeat it: the store may still have what was to go. A node of the
// default Store that is down is an error too, but brings nothing back when it
// returns: this process purges it then, if it still runs (see [cache.Redis], on a
// Ring). So a handler that has written need not fail for it.
func (g *Guard) Purge(ctx context.Context, keys ...string) error {
	return g.purge(ctx, keyTag, keys)
}

// PurgeTags removes every response whose Cache-Tag or Surrogate-Key field has
// one of the tags, as Purge does for keys.
func (g *Guard) PurgeTags(ctx context.Context, tags ...string) error {
	return g.purge(ctx, userTag, tags)
}

func (g *Guard) purge(ctx context.Context, tagOf func(string) string, names []string) error {
	if g.cache == nil || len(names) == 0 {
		return nil
	}
	tags := make([]string, len(names))
	for i, name := range names {
		tags[i] = tagOf(name)
	}
	return g.cache.InvalidateTag(ctx, tags...)
}
