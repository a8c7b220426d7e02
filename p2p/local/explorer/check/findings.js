// What was checked, what was only heard, and what is wrong: one sentence for each thing.

export const CHECKED = 'checked'
export const HEARD = 'heard'
export const WRONG = 'wrong'

const WORST = [CHECKED, HEARD, WRONG]

export class Findings {
  constructor (onChange = () => {}) {
    this.found = new Map()
    this.onChange = onChange
  }

  // What was once wrong stays so until the page is loaded again: a node that lied does not get better by telling the truth.
  note (what, state, detail) {
    const before = this.found.get(what)
    if (before?.state === WRONG || (before?.state === state && before.detail === detail)) return
    this.found.set(what, { what, state, detail })
    this.onChange(this)
  }

  get wrong () {
    return [...this.found.values()].filter(({ state }) => state === WRONG)
  }

  of (what) {
    return this.found.get(what)
  }

  get worst () {
    return [...this.found.values()].reduce((worst, { state }) => WORST.indexOf(state) > WORST.indexOf(worst) ? state : worst, CHECKED)
  }
}
