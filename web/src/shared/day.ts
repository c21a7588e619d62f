// A date as people write it: "2 January 2026"; "" for what is none.

export function day(date: string | number | null | undefined): string {
  const time = new Date(String(date ?? ''));
  return Number.isNaN(time.getTime()) ? '' : time.toLocaleDateString('en-GB',
    { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });
}
