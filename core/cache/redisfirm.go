package cache

import (
	"context"
	_ "embed"
	"errors"
	"strings"
	"time"

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
	m, err = r.onlyPlace().firm(ctx, key, m)
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
	b, err := p.begin(ctx, "", entry, genKey)
	m.gen = b.gen
	return m, err
}

// recheck is find in one command, of a server where all keys may be named together,
// with a firm mark. It takes the server longer: it is for those who contend.
func (p *place) recheck(ctx context.Context, key string) (replica, error) {
	entry, genKey := p.r.namesOf(key)
	_, epochKey := p.r.tagNames()
	b, err := p.begin(ctx, "entry", entry, genKey, epochKey)
	if err != nil {
		return replica{}, err
	}
	mark, err := p.markOf(ctx, b.gen, b.epoch)
	return replicaOf(b.raw, mark, b.left), err
}

var errBadAnswer = errors.New("an answer that no script gives")

// begun is what begin.lua says.
type begun struct {
	left            time.Duration
	gen, epoch, raw string
}

func (p *place) begin(ctx context.Context, entry string, keys ...string) (b begun, err error) {
	server := p.serverOf(ctx, keys[0])
	got, err := beginScript.Run(ctx, p.client, keys, entry).Slice()
	if err != nil {
		return b, err
	}
	if len(got) != 5 {
		return b, errBadAnswer
	}
	at, _ := got[0].(int64)
	left, _ := got[1].(int64)
	said := texts(got[2:], 3)
	b.gen, b.epoch, b.raw = said[0], said[1], said[2]
	if at == 0 || b.gen == "" {
		return b, errBadAnswer
	}
	p.r.clocks.learn(server, reading{server: at, answered: now()})
	if b.left = time.Duration(left); left > 0 {
		b.left *= time.Millisecond
	}
	return b, nil
}
