package cache

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func envelopes() []envelope {
	s := span{fresh: time.Minute, stale: time.Hour, onErr: time.Second, delta: 3 * time.Millisecond}
	return []envelope{
		{span: s, codec: "json", payload: []byte(`"hello"`)},
		{span: s, codec: "json", payload: bytes.Repeat([]byte("abc"), 10_000)},
		{span: span{kind: kindNegative, fresh: time.Second}, payload: []byte("not found\x00user 7: not found")},
		{span: span{kind: kindUncacheable, fresh: time.Second}, payload: []byte{}},
		{span: span{fresh: maxLifetime, stale: maxLifetime}, codec: strings.Repeat("c", maxCodecName), payload: []byte{0}},
	}
}

func TestEnvelopeRoundTrip(t *testing.T) {
	for _, e := range envelopes() {
		for _, above := range []int{-1, 0, 4096} {
			got, err := decodeEnvelope(e.encode(above), math.MaxInt32)
			if err != nil || got.codec != e.codec || got.span != e.span || !bytes.Equal(got.payload, e.payload) {
				t.Errorf("compressed above %d: %v, %v", above, got.span, err)
			}
		}
	}
}

func TestBombIsAMiss(t *testing.T) {
	bomb := envelope{span: span{fresh: time.Second}, codec: "json", payload: make([]byte, 64<<20)}.encode(0)
	if len(bomb) > 1<<20 {
		t.Fatalf("%d bytes are no bomb", len(bomb))
	}
	allocated := testing.AllocsPerRun(1, func() {
		if _, err := decodeEnvelope(bomb, 1<<10); !errors.Is(err, errCorrupt) {
			t.Errorf("got %v", err)
		}
	})
	if allocated > 100 {
		t.Errorf("%v allocations", allocated)
	}
}

func FuzzEnvelope(f *testing.F) {
	for _, e := range envelopes() {
		f.Add(e.encode(100))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 1 << 16
		e, err := decodeEnvelope(data, limit)
		if err != nil {
			if !errors.Is(err, errCorrupt) {
				t.Fatalf("%v is not errCorrupt", err)
			}
			return
		}
		if len(e.payload) > limit || e.span.lifetime() < 0 || e.span.lifetime() > 2*maxLifetime {
			t.Fatalf("%d bytes, %v", len(e.payload), e.span)
		}
		again, err := decodeEnvelope(e.encode(-1), limit)
		if err != nil || again.span != e.span || !bytes.Equal(again.payload, e.payload) {
			t.Fatalf("%v: %v became %v", err, e.span, again.span)
		}
	})
}

func FuzzFrame(f *testing.F) {
	f.Add(string(frame{frameStart{7, 9, 11}, []string{"a", ""}, peerMark{"host:1", "12", 13}, []byte("v")}.encode()))
	f.Add(string(frame{}.encode()))
	f.Fuzz(func(t *testing.T, data string) {
		got, err := decodeFrame(data)
		if err != nil {
			return
		}
		again, err := decodeFrame(string(got.encode()))
		if err != nil || !reflect.DeepEqual(got, again) {
			t.Fatalf("%v: %+v became %+v", err, got, again)
		}
	})
}

func FuzzNotice(f *testing.F) {
	f.Add(string(change{origin: "o", filled: true, keys: []string{"k", ""}, lock: "l"}.encode()))
	f.Add(string(change{tags: []string{"a", "b"}}.encode()))
	f.Fuzz(func(t *testing.T, data string) {
		got, ok := decodeChange(data)
		if !ok {
			return
		}
		again, ok := decodeChange(string(got.encode()))
		if !ok || !reflect.DeepEqual(got, again) {
			t.Fatalf("%+v became %+v", got, again)
		}
	})
}

func FuzzRedisMark(f *testing.F) {
	f.Add("123 456 789")
	f.Add(redisMark{}.String())
	f.Fuzz(func(t *testing.T, s string) {
		m, err := parseRedisMark(s)
		if err != nil || s == "" {
			return
		}
		if again, err := parseRedisMark(m.String()); err != nil || again != m {
			t.Fatalf("%v: %+v became %+v", err, m, again)
		}
	})
}
