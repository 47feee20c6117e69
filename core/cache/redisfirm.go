package cache

import (
	"context"
	_ "embed"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed lua/begin.lua
	beginSource string

	beginScript = redis.NewScript(beginSource)
)

// A mark without a purge generation is as good as one with, unless there is a
// purge, and its generation is lost, before the set. So a fetch does not begin
// with one.

// isLoose reports such a mark, of a server or of a Ring.
func (r *Redis) isLoose(mark string) bool {
	return strings.HasPrefix(mark, " ") || strings.Contains(mark, "= ")
}

// firm is a loose mark of a key with the generations that it lacks.
func (r *Redis) firm(ctx context.Context, key, mark string) (string, error) {
	if r.ring != nil {
		return r.firmShards(ctx, key, mark)
	}
	m, err := parseRedisMark(mark)
	if err != nil {
		return "", err
	}
	m, err = (&place{r: r, client: r.client}).firm(ctx, key, m)
	return m.String(), err
}

// firmShards leaves out the shards that do not answer.
func (r *Redis) firmShards(ctx context.Context, key, mark string) (string, error) {
	marks, err := parseRingMark(mark)
	if err != nil {
		return "", err
	}
	for name, m := range marks {
		shard, err := r.shardAt(name)
		if err == nil {
			m, err = r.placeOf(shard).firm(ctx, key, m)
		}
		if marks[name] = m; err != nil {
			delete(marks, name)
		}
	}
	if len(marks) == 0 {
		return "", errShardsDown
	}
	return marks.String(), nil
}

func (p *place) firm(ctx context.Context, key string, m redisMark) (redisMark, error) {
	if m.gen != "" {
		return m, nil
	}
	entry, genKey := p.r.namesOf(key)
	_, gen, _, err := p.begin(ctx, entry, genKey)
	m.gen = gen
	return m, err
}

// marks is the purge state of a key for a fetch, and whether there is an entry. It
// is of a server, where all keys may be named together.
func (p *place) marks(ctx context.Context, key string) (mark redisMark, held bool, err error) {
	entry, genKey := p.r.namesOf(key)
	_, epochKey := p.r.tagNames()
	held, gen, epoch, err := p.begin(ctx, entry, genKey, epochKey)
	if err != nil {
		return redisMark{}, false, err
	}
	mark, err = p.markOf(ctx, gen, epoch)
	return mark, held, err
}

var errBadAnswer = errors.New("an answer that no script gives")

func (p *place) begin(ctx context.Context, keys ...string) (held bool, gen, epoch string, err error) {
	got, err := beginScript.Run(ctx, p.client, keys).Slice()
	if err != nil {
		return false, "", "", err
	}
	got = append(got, nil, nil, nil)
	left, ok := got[0].(int64)
	gen, _ = got[1].(string)
	epoch, _ = got[2].(string)
	if !ok || gen == "" {
		return false, "", "", errBadAnswer
	}
	return left != int64(gone), gen, epoch, nil
}
