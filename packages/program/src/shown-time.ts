/**
 * An ISO 8601 time in UTC as people see it. It keeps its zone and milliseconds, so that it means the same moment when it is
 * passed back to a command.
 */
export function shownTime (iso: string): string {
  return iso.replace('T', ' ')
}
