package cache

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// Whoever looked behind memory before this process' own fill does not put what it saw
// there once the fill has been evicted: no notice would tell of it.
func TestAnOldSightFollowsNoFill(t *testing.T) {
	s := NewMemory(1 << 20).spaceOf("")
	sight := s.mark("k")
	assert.True(t, s.fill("k", s.mark("k"), nil, "new", 1))
	s.mem.cells.Invalidate(cellKey{"k", s.id})
	assert.False(t, s.admit("k", sight, nil, "old", 1))
	_, current := s.load("k", now())
	assert.False(t, current)
	assert.True(t, s.admit("k", s.mark("k"), nil, "new", 1), "what is seen from now on")
}
