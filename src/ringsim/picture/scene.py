"""What a picture is made of before anybody paints it: shapes and wires at places in inches.

Layouts make scenes and `ringsim.picture.paint` turns them into files; neither knows the other. The y axis points up
and the origin is wherever a layout finds it convenient.
"""

from dataclasses import dataclass, field

Point = tuple[float, float]


@dataclass
class Square:
    """A card, or a heap of cards that is drawn as one.

    Attributes
    ----------
    name : str
        Its id in an SVG.
    at : Point
        Centre.
    width, height : float
    text : str
        Written inside where it fits.
    load : float or None
        Of its busiest link that is not drawn, which colours it; None where all its links are drawn.
    strip : float or None
        Load of its NIC where the cable is not drawn: a strip along the upper edge.
    angle : float
        Radians by which it is turned.
    link : int
        The link that is that busy, −1 for none.
    """

    name: str
    at: Point
    width: float
    height: float
    text: str = ""
    load: float | None = None
    strip: float | None = None
    angle: float = 0.0
    link: int = -1


@dataclass
class Disc:
    """A switch, or with a width of its own a bar that stands for several.

    Attributes
    ----------
    name : str
    at : Point
    radius : float
        Half the height of a bar.
    half : float
        Half the width of a bar; 0 for a disc.
    text : str
    tint : int
        Plane that it belongs to; planes differ by their tint.
    """

    name: str
    at: Point
    radius: float
    half: float = 0.0
    text: str = ""
    tint: int = 0


@dataclass
class Frame:
    """A rounded box around what belongs together, with its name below or above it."""

    low: Point
    high: Point
    text: str = ""
    above: bool = False


@dataclass
class Note:
    """Words beside something.

    Attributes
    ----------
    at : Point
    text : str
    align : str
        ``left``, ``center`` or ``right`` of the text is at the point.
    strong : bool
        Bold and dark, not plain and grey.
    size : float
        Points.
    """

    at: Point
    text: str
    align: str = "center"
    strong: bool = False
    size: float = 7.0


@dataclass
class Wire:
    """A bundle of links between two things.

    Attributes
    ----------
    path : list of Point
        Two points of a straight wire, three of one that bends towards the middle one, more for a polygon.
    rate : float
        Bytes per second of all its cables in one direction.
    cables : int
        In one direction, the wider one.
    there, back : float
        Load of the busiest link from first to last point and the other way.
    link : int
        The busiest of its links.
    scale_up : bool
        Whether it lies within a node.
    one_way : int
        1 where nothing leads back, −1 where only the way back exists, 0 for both ways.
    """

    path: list[Point]
    rate: float
    cables: int
    there: float
    back: float
    link: int
    scale_up: bool = False
    one_way: int = 0

    @property
    def load(self) -> float:
        """Of the busier direction."""
        return max(self.there, self.back)


@dataclass
class Scene:
    """Everything in a picture but its words at the margins."""

    squares: list[Square] = field(default_factory=list)
    discs: list[Disc] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    #: How to read it, one short sentence.
    key: list[str] = field(default_factory=list)
