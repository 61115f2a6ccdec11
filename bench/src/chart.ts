import { describeBar } from './report.ts'
import { judge } from './row.ts'
import type { Row, Verdict } from './row.ts'

const WIDTH = 960
const LABEL_WIDTH = 330
const TEXT_WIDTH = 190
const ROW_HEIGHT = 30
const TOP = 64
const BAR_HEIGHT = 16
/** Bars longer than three times the limit are cut; their figure shows the true value. */
const MOST = 3

interface Line {
  readonly label: string
  readonly verdict: Verdict
}

/**
 * A chart of all measured bars: which share of each limit was used. The thick vertical line is the limit. A bar that holds is
 * filled, one that does not is hatched, and both are labeled in words, so that nothing depends on colors.
 */
export function drawChart (rows: readonly Row[], title: string): string {
  const lines = rows.flatMap(row => judge(row).map((verdict): Line => ({ label: row.work, verdict })))
  const height = TOP + lines.length * ROW_HEIGHT + 24
  const limitX = xOf(1)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" ` +
      'font-family="sans-serif" font-size="12" role="img">',
    `<title>${escapeXml(title)}</title>`,
    '<defs><pattern id="missed" width="6" height="6" patternUnits="userSpaceOnUse">' +
      '<path d="M0 6 6 0" stroke="#000" stroke-width="1.5"/></pattern></defs>',
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    `<text x="16" y="24" font-size="15" font-weight="bold">${escapeXml(title)}</text>`,
    '<text x="16" y="44" fill="#444">The share of each limit that was used; shorter is better. ' +
      'Filled: the bar holds. Hatched: it does not.</text>',
    ...lines.map((line, i) => drawLine(line, TOP + i * ROW_HEIGHT)),
    `<line x1="${limitX}" y1="${TOP - 6}" x2="${limitX}" y2="${height - 16}" stroke="#000" stroke-width="3"/>`,
    `<text x="${limitX}" y="${height - 4}" text-anchor="middle">bar</text>`,
    '</svg>',
    '',
  ].join('\n')
}

function drawLine ({ label, verdict }: Line, y: number): string {
  const { value, limit, holds } = verdict
  const share = value / limit
  const percent = (share * 100).toFixed(share < 0.1 ? 1 : 0)
  const x = xOf(0)
  const fill = holds ? '#4a7fb5' : 'url(#missed)'
  return [
    `<text x="${LABEL_WIDTH - 10}" y="${y + 10}" text-anchor="end">${escapeXml(label)}</text>`,
    `<text x="${LABEL_WIDTH - 10}" y="${y + 22}" text-anchor="end" font-size="10" fill="#444">${escapeXml(describeBar(verdict))}</text>`,
    `<rect x="${x}" y="${y}" width="${Math.max(1, xOf(share) - x)}" height="${BAR_HEIGHT}" fill="${fill}" stroke="#000"/>`,
    `<text x="${WIDTH - TEXT_WIDTH + 10}" y="${y + 12}">${percent} % of the bar: ${holds ? 'holds' : 'missed'}</text>`,
  ].join('\n')
}

function xOf (share: number): number {
  return Math.round(LABEL_WIDTH + Math.min(share, MOST) / MOST * (WIDTH - LABEL_WIDTH - TEXT_WIDTH))
}

function escapeXml (text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
