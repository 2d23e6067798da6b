package main

import "math"

// openFiles returns how many files and connections this process may have open.
func openFiles() int { return math.MaxInt32 }
