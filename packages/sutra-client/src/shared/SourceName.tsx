/** A source; a link if it is a web address. */
export function SourceName({ source }: { source: string }) {
  if (!isWebAddress(source)) return <span className="source">{source}</span>;
  return (
    <a className="source" href={source} target="_blank" rel="noopener noreferrer">
      {source}
      <span className="visually-hidden"> (opens in a new tab)</span>
    </a>
  );
}

/** Only http(s): other schemes, such as `javascript:`, are never linked. */
function isWebAddress(source: string): boolean {
  return /^https?:\/\//i.test(source) && URL.canParse(source);
}
