// Numbers, times and keys as people read them.

const number = new Intl.NumberFormat('en')

export const count = (value) => value === null || value === undefined ? '–' : number.format(value)

export const plural = (value, one, many = one + 's') => `${count(value)} ${value === 1 ? one : many}`

export const signed = (points) => points > 0 ? `+${count(points)}` : points < 0 ? `−${count(-points)}` : '0'

export const short = (id) => id ? `${id.slice(0, 10)}…` : '–'

export const shortDid = (did) => did ? `${did.replace('did:key:', '').slice(0, 10)}…` : '–'

export function time (text) {
  const at = new Date(text)
  return Number.isNaN(at.getTime()) ? String(text ?? '–') : at.toISOString().replace('T', ' ').replace(/\.\d+Z$/, '').replace('Z', '') + ' UTC'
}

export const clock = (ms) => new Date(ms).toLocaleTimeString('en-GB')

export function span (ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return '–'
  if (Math.abs(ms) < 1_000) return `${Math.round(ms)} ms`
  const s = ms / 1_000
  if (s < 90) return `${s.toFixed(1)} s`
  return s < 5_400 ? `${Math.round(s / 60)} min` : s < 172_800 ? `${Math.round(s / 3_600)} h` : `${Math.round(s / 86_400)} days`
}

export const permille = (value) => `${(value / 10).toFixed(1).replace('.0', '')} %`

export const capital = (text) => text ? text[0].toUpperCase() + text.slice(1) : text

// What a moment of a record is, in words: its date, and how long until then where that is told.
export const until = (moment, left) => moment ? `until ${time(moment)}${left ? `, ${left} left` : ''}` : 'without an end'
