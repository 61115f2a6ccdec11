import type { TimeZone } from '../civil-date.ts'

/** The time zone of this machine. */
export const localZone: TimeZone = {
  toUtcMs (wallMs) {
    const wall = new Date(wallMs)
    const utc = new Date(0)
    // Not the constructor, which maps the years 0 to 99 to 1900 to 1999.
    utc.setFullYear(wall.getUTCFullYear(), wall.getUTCMonth(), wall.getUTCDate())
    utc.setHours(wall.getUTCHours(), wall.getUTCMinutes(), wall.getUTCSeconds(), wall.getUTCMilliseconds())
    return utc.getTime()
  },
  toWallMs (utcMs) {
    const at = new Date(utcMs)
    const wall = new Date(0)
    wall.setUTCFullYear(at.getFullYear(), at.getMonth(), at.getDate())
    wall.setUTCHours(at.getHours(), at.getMinutes(), at.getSeconds(), at.getMilliseconds())
    return wall.getTime()
  },
}
