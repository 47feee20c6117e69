package main

// bar is one bar of the picture, with the lowest and the highest round.
type bar struct {
	group, name      string
	value, low, high float64
}
