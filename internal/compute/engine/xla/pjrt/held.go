package pjrt

// Held returns how many bytes lie in buffers on a device.
func (c *Client) Held(device int) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	total := 0
	for _, b := range c.buffers {
		if b.device == device && !b.donated {
			total += b.shape.bytes()
		}
	}
	return int64(total)
}
