import { expect, test } from 'vitest'
import { formatSize } from '@filesync/protocol'

test.each([
  [0, '0 B'], [999, '999 B'], [1000, '1.00 kB'], [9_995, '10.0 kB'], [99_950, '100 kB'], [999_500, '1.00 MB'], [1.23e9, '1.23 GB'],
  [5e18, '5000 PB'],
])(
  '%i bytes are shown as %j', (bytes, text) => { expect(formatSize(bytes)).toBe(text) })
